"""What the lab's own Git server tells learners beside repositories: put where its data is, and
taken away again."""

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
    """Have files handed out, and return which could not be written, and why, as the machine says.

    + contents: by the path below `access`
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
    """Have some of it handed out no more.

    + names: ids of seats, and `ca.crt`
    """
    for name in names:
        files.remove(Path(lab.handouts_dir, name))


@where_repositories_are
def show_rows(places: Places, rows: dict[str, OwnRow], unchanged: list[str], now: float) -> None:
    """Have these rows shown and no others, by the learner's id; one that says the same as before is
    not written. Nothing where the server has no data yet. Raises OSError.

    + unchanged: whose rows say the same as when they were written
    + now: in seconds since 1970, what a row that changes has as the time of that
    """
    folder = _rows(places)
    if not folder.parent.is_dir():
        return
    if not folder.is_dir():
        folder.mkdir()
        # New files have the group of the folder, which is the server's.
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
    """Have no rows shown: nobody looks any more. Raises OSError."""
    for path in _shown(_rows(places)):
        path.unlink(missing_ok=True)


@where_repositories_are
def forget(lab: Lab, seats: list[str]) -> None:
    """Have nothing handed out and shown to learners who have no seat any more."""
    for seat in seats:
        files.remove(Path(lab.handout_dir(seat)))
        files.remove(_rows(lab) / f"{seat}.json")


def _rows(places: Places) -> Path:
    return Path(places.git_dir, "rows")


def _shown(folder: Path) -> Iterator[Path]:
    # Sorted, so that the folder has been read before anything in it is removed.
    yield from sorted(folder.glob("*.json"))
