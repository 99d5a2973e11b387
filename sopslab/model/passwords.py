"""Passwords that are typed from paper: what they look like, and what of them counts.

Of characters that look alike on paper, or that only their case tells apart, none is in them (0 O D,
1 I l, 2 Z, 5 S, 6 G, 8 B, 9 Q g, U V), and no vowel, so that they spell nothing.
"""

from __future__ import annotations

import math
import re
import secrets

ALPHABET = "cdfhjkmnprtvwxy3479"
_GROUPS, _GROUP = 5, 4
BITS = math.log2(len(ALPHABET)) * _GROUPS * _GROUP
"""How much chance there is in a password: 84.9 bits."""
_TYPED = re.compile(f"[{ALPHABET}]{{{_GROUPS * _GROUP}}}")
# Phones make another hyphen of one that is typed, and another blank.
_BETWEEN = re.compile(r"[\s\u00ad\u2010-\u2015\u2212-]+")


def new_password() -> str:
    """Return a password that nobody had, in groups: `xxxx-xxxx-xxxx-xxxx-xxxx`."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))
    return "-".join(groups)


def essence(password: bytes) -> bytes:
    """Return what of a password counts: case, hyphens and blanks do not, in one of our form.

    Any other is returned as it is: those of labs that older versions made are of another form.
    """
    try:
        typed = _BETWEEN.sub("", password.decode()).lower()
    except UnicodeDecodeError:
        return password
    return typed.encode() if _TYPED.fullmatch(typed) else password
