"""The rows of learners, told the Git server: each learner's page there shows the own one only.

They are there while somebody looks. The server reads them by its group, and nobody else does.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.lab.tools import files
from sopslab.model.rows import OwnRow, OwnStep
from sopslab.model.wire import decoded, encode

if TYPE_CHECKING:
    from sopslab.checks.board.steps import Row
    from sopslab.config.places import Places


def publish(places: Places, rows: Iterable[Row], unchanged: Collection[str] = ()) -> None:
    """Have the rows of these learners there, and those of nobody else; one that says the same as
    before is not written. Nothing where the Git server is not the lab's own. Raises OSError.

    + unchanged: whose rows say the same as when they were written
    """
    folder = _folder(places)
    if not places.git_embedded or not folder.parent.is_dir():
        return
    if not folder.is_dir():
        folder.mkdir()
        # New files have the group of the folder, which is the server's.
        folder.chmod(0o2750)
    own = {row.seat.id: row for row in rows}
    there = {path.stem: path for path in _published(folder)}
    for seat in there.keys() - own.keys():
        there[seat].unlink(missing_ok=True)
    now = round(time.time(), 1)
    for seat, row in own.items():
        if seat in unchanged and seat in there:
            continue
        path = folder / f"{seat}.json"
        before = decoded(OwnRow, files.read(path))
        wanted = _own(row, now if before is None else before.seen)
        if wanted != before:
            changed = _own(row, now)
            files.write(path, f"{json.dumps(encode(changed))}\n", 0o640)


def withdraw(places: Places) -> None:
    """Have no rows there: nobody looks any more. Raises OSError."""
    for path in _published(_folder(places)):
        path.unlink(missing_ok=True)


def _folder(places: Places) -> Path:
    return Path(places.git_dir, "rows")


def _published(folder: Path) -> Iterator[Path]:
    # Sorted, so that the folder has been read before anything in it is removed.
    yield from sorted(folder.glob("*.json"))


def _own(row: Row, seen: float) -> OwnRow:
    steps = [
        OwnStep(one.id, one.progress.value, one.found, one.fix, one.stuck) for one in row.steps
    ]
    asked = None if row.asked is None else float(row.asked)
    return OwnRow(seen, steps, row.next, row.fix, asked)
