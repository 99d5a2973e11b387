"""The users of this machine."""

from __future__ import annotations

import pwd


def name_of(user: int) -> str:
    """Return the name of a user, or the number of a user who has no name."""
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return str(user)
