"""What may stand in a roster: how an id, a name, an address, a group and a machine are written.

Pure. Each check raises ValueError with what is wrong and what is needed.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Mapping

from pydantic import TypeAdapter, ValidationError

from sopslab.config.machines import check_host, check_hostkey, check_login, check_port
from sopslab.config.moments import check_moment
from sopslab.config.naming import SEAT_LENGTH, check_seat, propose_seat
from sopslab.config.settings import Email

NEEDED = ("id", "name")
LEARNER = (*NEEDED, "email", "group", "expires")
# Where a learner's machine is, in a room with a machine for each.
MACHINE = ("host", "user", "port", "hostkey")
KNOWN = (*LEARNER, *MACHINE)
_MAX_LINE = 200
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)
# Unicode calls these printable, but they are invisible. Variation selectors are not among them:
# Japanese names need those.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# What Git strips from the ends of an author's name; it refuses a name of which nothing is left.
_STRIPPED_BY_GIT = " .,:;<>\"\\'"


def _line_of_text(value: str) -> None:
    if not value.strip():
        raise ValueError("one line of printable characters is needed")
    if len(value) > _MAX_LINE:
        raise ValueError(f"at most {_MAX_LINE} characters are allowed, and it has {len(value)}")
    for sign in value:
        if not sign.isprintable() or sign in _INVISIBLE:
            described = f"U+{ord(sign):04X} {unicodedata.name(sign, '')}".rstrip()
            raise ValueError(f"take out {described}: one line of printable characters is needed")


def _name(value: str) -> None:
    _line_of_text(value)
    if not value.strip(_STRIPPED_BY_GIT):
        raise ValueError("a name is needed that is more than punctuation: it signs commits")


def _email(value: str) -> None:
    try:
        _EMAIL.validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(message) from None


CHECKS: Mapping[str, Callable[[str], object]] = {
    "id": check_seat,
    "name": _name,
    "email": _email,
    "group": _line_of_text,
    "expires": check_moment,
    "host": check_host,
    "user": check_login,
    "port": check_port,
    "hostkey": check_hostkey,
}


def is_email(text: str) -> bool:
    """Return whether a text is an address, and nothing else."""
    try:
        _email(text)
    except ValueError:
        return False
    return True


def default_email(seat: str | None) -> str:
    """Return the address of a learner who has none on the roster."""
    return f"{seat}@example.org"


def folded(text: str) -> str:
    """Return a form of a text that is equal for texts that are the same to a reader or to a file
    system."""
    return unicodedata.normalize("NFKC", text).casefold()


def shown(text: str) -> str:
    """Return a text for use in a sentence: in quotes, escaped, and cut if it is long."""
    quoted = repr(text)
    return quoted if len(quoted) <= 80 else f"{quoted[:60]}…"


class Proposals:
    """Ids for learners whose id is missing or refused; all are valid, and no two are the same."""

    def __init__(self, taken: Iterable[str]) -> None:
        self._taken = set(taken)

    def like(self, text: str) -> str | None:
        """Return the text in small letters if that is a valid id and free; else what `instead_of`
        returns."""
        small = text.casefold()
        if small in self._taken:
            return self.instead_of(text)
        try:
            self._taken.add(check_seat(small))
        except ValueError:
            return self.instead_of(text)
        return small

    def instead_of(self, text: str) -> str | None:
        """Return an id that is free and close to `text`, or None if there is none."""
        slug = propose_seat(text)
        if slug is None:
            return None
        # Leave room for a number.
        slug = slug[: SEAT_LENGTH - 5].rstrip("-")
        # There are more candidates than taken ids.
        for number in range(1, len(self._taken) + 3):
            candidate = slug if number == 1 else f"{slug}-{number}"
            if candidate not in self._taken:
                try:
                    self._taken.add(check_seat(candidate))
                except ValueError:
                    # A reserved name may be allowed with a number, unless its whole family is
                    # reserved.
                    if number > 1:
                        return None
                else:
                    return candidate
        return None
