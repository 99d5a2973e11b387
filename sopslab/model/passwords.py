"""Passwords that are typed from paper: how they are made, and which of their characters count.

Of each group of characters that look alike on paper (0 O D, 1 I l, 2 Z, 5 S, 6 G, 8 B, 9 Q g, U V),
at most one occurs in a password, and no two letters differ only in case. There are no vowels, so
that a password spells nothing.
"""

from __future__ import annotations

import re
import secrets

ALPHABET = "cdfhjkmnprtvwxy3479"
# With these, a password has 84.9 bits of entropy.
_GROUPS, _GROUP = 5, 4
_TYPED = re.compile(f"[{ALPHABET}]{{{_GROUPS * _GROUP}}}")
# Phones replace typed hyphens and spaces by other ones.
_BETWEEN = re.compile(r"[\s\u00ad\u2010-\u2015\u2212-]+")


def new_password() -> str:
    """Return a new random password, in groups: `xxxx-xxxx-xxxx-xxxx-xxxx`."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def essence(password: bytes) -> bytes:
    """Return the characters of a password that count. In a password of this form, case, hyphens and
    spaces do not count.

    A password of any other form is returned unchanged: older versions made other passwords.
    """
    try:
        typed = _BETWEEN.sub("", password.decode()).lower()
    except UnicodeDecodeError:
        return password
    return typed.encode() if _TYPED.fullmatch(typed) else password
