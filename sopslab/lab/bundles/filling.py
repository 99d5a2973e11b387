"""What is common to all that fills a store from elsewhere: whose turn it is, whether it fits, and
what is on record of it afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.observe.store import BUNDLE, LOCK
from sopslab.lab.store.bench import cache_of, turn
from sopslab.lab.store.members import Refused
from sopslab.lab.tools import files
from sopslab.lab.tools.locks import locked
from sopslab.model.bundles import LoadedBundle
from sopslab.model.members import Member
from sopslab.model.wire import encode

# What a file system needs beside the bytes of files.
_SPARE = 64 << 20
# Whoever was cut off has ended by then.
_ENDING_S = 3
_WORK = "bundle"


def awaited_turn(lab: Lab) -> AbstractContextManager[int]:
    """Hold, in the block, the lock under which a store is filled; wait for others first."""
    _make_folders(lab)
    return turn(lab, _WORK)


def turn_at_once(lab: Lab) -> AbstractContextManager[int]:
    """Hold the same lock. Raises LabError where another run goes on with it."""
    _make_folders(lab)
    return locked(
        cache_of(lab) / f"{_WORK}{LOCK}",
        _ENDING_S,
        f"another run is filling {lab.store}: wait for it, then run again",
    )


def _make_folders(lab: Lab) -> None:
    for folder in (cache_of(lab), Path(lab.store)):
        folder.mkdir(parents=True, exist_ok=True)


def check_space(lab: Lab, missing: Iterable[Member]) -> None:
    """Raise Refused where the disk has no room for what is missing."""
    needed = sum(member.unpacked for member in missing) + _SPARE
    free = shutil.disk_usage(lab.store).free
    if needed > free:
        raise Refused(
            f"it needs {needed / 1e9:.1f} GB in {lab.store}, and {free / 1e9:.1f} GB are free there"
        )


def record(lab: Lab, loaded: LoadedBundle) -> None:
    """Record what the store was given, so that nothing of it is asked of a network."""
    files.write(Path(lab.root, BUNDLE), record_text(loaded), 0o644)


def record_text(loaded: LoadedBundle) -> str:
    """Return what the record is, to the byte."""
    return json.dumps(encode(loaded), indent=1) + "\n"
