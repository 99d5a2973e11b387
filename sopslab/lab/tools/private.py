"""Whether a file that holds a key is this account's alone."""

from __future__ import annotations

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

from sopslab.lab.tools.users import name_of


@dataclass(frozen=True)
class Flaw:
    """Why a file must not be used. `said` follows the name of the file in a sentence, and `fix` is
    a command that mends it, or shows it if only a person can."""

    said: str
    fix: str
    is_mended: bool = True

    def of(self, name: str) -> str:
        """Return a sentence about the file, with the command if that mends it."""
        return f"{name} {self.said}" + (f": {self.fix}" if self.is_mended else "")


def flaw_of(path: Path) -> Flaw | None:
    """Return why a file must not be used, None if nothing speaks against it. Its content is not
    read. Raises OSError if it is not there."""
    status = path.lstat()
    shown = shlex.quote(str(path))
    if stat.S_ISLNK(status.st_mode):
        return Flaw("is a symbolic link", f"ls -l {shown}", is_mended=False)
    if not stat.S_ISREG(status.st_mode):
        return Flaw("is not a file", f"ls -ld {shown}", is_mended=False)
    me = os.geteuid()
    if status.st_uid != me:
        owner = name_of(status.st_uid)
        return Flaw(f"belongs to {owner}", f"sudo chown {name_of(me)} {shown}")
    if status.st_mode & 0o077:
        return Flaw("can be read by others", f"chmod 600 {shown}")
    return None
