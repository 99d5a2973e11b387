"""The format of a lab's folder."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import Exit, LabError
from sopslab.model.formats import Format, parse_format

# The files that a command leaves in the folder even if there is no lab.
_NO_LAB = {"lock", "log"}


def lab_format(lab: Lab) -> Format | None:
    """Return the format of a lab's folder: number 0 if the lab records none, None without a lab.

    Raises LabError if the record of the format cannot be read.
    """
    path = Path(lab.format_file)
    try:
        return parse_format(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Format() if _has_lab(path.parent) else None
    except OSError as error:
        reason = str(error.strerror)
    except ValueError:
        reason = "it names no format"
    raise LabError(
        f"{path} cannot be read ({reason}): restore it from a backup or, where no newer sops-lab"
        " has been at work, remove it and run `sopslab up`",
        Exit.FORMAT,
    )


def _has_lab(folder: Path) -> bool:
    """Return whether a lab was begun in a folder. Hidden files do not count: they are locks, and
    unfinished files of killed runs."""
    try:
        return any(
            path.name not in _NO_LAB and not path.name.startswith(".") for path in folder.iterdir()
        )
    except FileNotFoundError:
        return False
