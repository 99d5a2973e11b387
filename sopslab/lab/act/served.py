"""What the lab's own Git server shows learners beside repositories: put where the server's data is,
and taken away again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sopslab.config.places import Lab, Places
from sopslab.lab.observe.served import HANDED_OUT
from sopslab.lab.tools import files
from sopslab.lab.tools.relay import where_repositories_are
from sopslab.model.rows import OwnRow
from sopslab.model.wire import decoded, encode


@where_repositories_are
def serve(lab: Lab, contents: dict[str, str]) -> dict[str, str]:
    """Hand out files. Return, by path, the operating system's reason for each that could not be
    written.

    + contents: the content of each file, by its path below `access`
    """
    folder, failed = Path(lab.handouts_dir), {}
    with files.umask(0o027):
        folder.mkdir(parents=True, exist_ok=True)
        for path, content in contents.items():
            try:
                (folder / path).parent.mkdir(exist_ok=True)
                files.write(folder / path, content, HANDED_OUT)
            except OSError as error:
                failed[path] = str(error)
    return failed


@where_repositories_are
def withdraw(lab: Lab, names: list[str]) -> None:
    """Stop handing out some files.

    + names: ids of seats, and `ca.crt`
    """
    for name in names:
        files.remove(Path(lab.handouts_dir, name))


@where_repositories_are
def show_rows(places: Places, rows: dict[str, OwnRow], unchanged: list[str], now: float) -> None:
    """Show these rows, by the learner's id, and no others; an unchanged row is not written again.
    Do nothing where the server has no data yet. Raises OSError.

    + unchanged: the learners whose rows have not changed since they were written
    + now: the time, in seconds since 1970, that a changed row is given as the time of its change
    """
    folder = _rows(places)
    if not folder.parent.is_dir():
        return
    if not folder.is_dir():
        folder.mkdir()
        # New files get the folder's group, which is the server's.
        folder.chmod(0o2750)
    there = {path.stem: path for path in _shown(folder)}
    for seat in there.keys() - rows.keys():
        there[seat].unlink(missing_ok=True)
    for seat, row in rows.items():
        if seat in unchanged and seat in there:
            continue
        path = folder / f"{seat}.json"
        before = decoded(OwnRow, files.read(path))
        if before is None or replace(row, seen=before.seen) != before:
            changed = replace(row, seen=now)
            files.write(path, f"{json.dumps(encode(changed))}\n", HANDED_OUT)


@where_repositories_are
def withdraw_rows(places: Places) -> None:
    """Remove all rows, because nobody looks at the board any more. Raises OSError."""
    for path in _shown(_rows(places)):
        path.unlink(missing_ok=True)


@where_repositories_are
def forget(lab: Lab, seats: list[str]) -> None:
    """Remove the hand-outs and the rows of learners who have no seat any more."""
    for seat in seats:
        files.remove(Path(lab.handout_dir(seat)))
        files.remove(_rows(lab) / f"{seat}.json")


def _rows(places: Places) -> Path:
    return Path(places.git_dir, "rows")


def _shown(folder: Path) -> Iterator[Path]:
    # Sorted, so that the folder has been read before anything in it is removed.
    yield from sorted(folder.glob("*.json"))
