"""Take over a lab that an older product made: bring its files to this product's format.

If a run is killed at any time, the next one goes on: the original of a file is kept before the file
is changed, each change is one rename, and the number of the format is raised when all of its
changes are made.
"""

from __future__ import annotations

import stat
from contextlib import suppress
from pathlib import Path

from sopslab import __version__
from sopslab.checks.takeover import FORMAT, KEPT, MIGRATIONS, Change, Migration
from sopslab.config.places import Lab
from sopslab.lab.observe.formats import lab_format
from sopslab.lab.tools import files
from sopslab.model.formats import Format, render_format


def take_over(lab: Lab) -> None:
    """Bring the lab's folder to this product's format, and record that this product did so; a lab
    that is yet to be made begins with it.

    Raises LabError if the format of the lab cannot be read.
    """
    found = lab_format(lab)
    if found is None or found.number == FORMAT:
        _say(lab, FORMAT)
        return
    for number, migration in enumerate(MIGRATIONS[found.number :], found.number + 1):
        kept = Path(lab.lab_dir, KEPT.format(number))
        for change in _left(lab, migration):
            _keep(Path(lab.lab_dir, change.path), kept / change.path)
            _make(lab, change)
        _say(lab, number)


def _left(lab: Lab, migration: Migration) -> list[Change]:
    folder = Path(lab.lab_dir)
    paths = {path for pattern in migration.files for path in folder.glob(pattern)}
    return migration.plan({str(path.relative_to(folder)): path.read_bytes() for path in paths})


def _keep(path: Path, kept: Path) -> None:
    """Keep the original of a file under a second name, for this account alone."""
    files.private_folder(kept.parent)
    # A change puts another file under the first name, so the file with this name stays as it was.
    with suppress(FileExistsError, FileNotFoundError):
        kept.hardlink_to(path)


def _make(lab: Lab, change: Change) -> None:
    path = Path(lab.lab_dir, change.path)
    if change.content is None:
        files.remove(path)
    else:
        mode = stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o600
        files.write(path, change.content, mode)


def _say(lab: Lab, number: int) -> None:
    files.write(lab.format_file, render_format(Format(number, __version__)), 0o644)
