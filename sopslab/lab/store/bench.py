"""Where a recipe works: alone, in a folder of its own. What it makes appears in the store whole."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import IO

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.observe.store import (
    BUILDS,
    GONE,
    LOCK,
    MANIFEST,
    STAMP,
    WORK,
    leftovers,
    stamped,
    stored_entry,
)
from sopslab.lab.tools import files, programs
from sopslab.lab.tools.locks import go_on_alone, locked
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed
from sopslab.model.store import Entry

_WORK_S = 900
# No program of a recipe takes longer: Kubernetes takes ten minutes on two slow cores.
LONGEST_S = 3600
# Whoever waits for that program must not be told to end it.
_TURN_S = LONGEST_S + _WORK_S


class Bench:
    """A folder to work in, on the store's file system, and the lock that is held for it."""

    def __init__(self, lab: Lab, lock: int, folder: Path) -> None:
        self.store = Path(lab.store)
        self.cache = cache_of(lab)
        self.folder = folder
        self._lock = lock

    def run(
        self,
        *command: str,
        otherwise: str = "",
        environment: Mapping[str, str] = os.environ,
        folder: Path | None = None,
        stdin: bytes | IO[bytes] = b"",
        to: IO[bytes] | None = None,
        patience: float = _WORK_S,
    ) -> str:
        """Return what a program prints. It inherits the lock: what a killed run left running is
        awaited, not raced.

        Raises Failed, or LabError where there is something to say; what the program said is in the
        log before that.

        + otherwise: what to say if it fails
        """
        try:
            said = programs.run(
                command, environment, folder=folder, stdin=stdin, to=to, patience=patience,
                inherited=self._lock,
            )  # fmt: skip
        except Failed as failure:
            if not otherwise:
                raise
            # What was cut off in the middle of a line has our sentence below it, too.
            log(failure.words.rstrip(b"\n") + b"\n")
            raise LabError(otherwise) from None
        return os.fsdecode(said).rstrip("\n")

    def is_published(self, entry: Entry) -> bool:
        """Return whether the store holds exactly this. Its files are not read again while they
        stay."""
        folder = self.store / entry.key
        stored = stored_entry(folder)
        if stored is None or stored.fault(entry) is not None:
            return False
        stamp(folder)
        return True

    def publish(self, folder: Path, entry: Entry) -> None:
        """Move what is in a folder into the store, with its sums: whole or not at all."""
        sums = {name: files.sha256(folder / name) for name in sorted(stamped(folder))}
        (folder / MANIFEST).write_text(json.dumps({**entry.manifest, "files": sums}))
        stamp(folder)
        # What is in the store is for everybody.
        folder.chmod(0o755)
        put(folder, self.store / entry.key)


def put(folder: Path, target: Path) -> None:
    """Have a folder in the place of another, which is gone afterwards."""
    if target.exists():
        target.rename(folder.with_name("replaced"))
    folder.rename(target)
    files.remove(folder.with_name("replaced"))


@contextmanager
def bench(lab: Lab, name: str) -> Iterator[Bench]:
    """Yield a place to work at, as soon as nobody else does this work.

    + name: what is made
    """
    cache = cache_of(lab)
    for folder in (cache, Path(lab.store)):
        folder.mkdir(parents=True, exist_ok=True)
    with (
        turn(lab, name) as lock,
        tempfile.TemporaryDirectory(prefix=f"{WORK}{name}.", dir=cache) as work,
    ):
        yield Bench(lab, lock, Path(work))


def clear_cache(lab: Lab) -> None:
    """Remove what was only needed to fill the store, in a process that goes on alone: where the
    disk is told of each block that becomes free, that takes minutes.

    First it is moved to where no build looks, so that none has to wait, and none trusts what a
    killed removal has left. The next removal takes that, too."""
    cache = cache_of(lab)
    with turn(lab, BUILDS):
        left = leftovers(cache)
        gone = Path(tempfile.mkdtemp(prefix=f"{GONE}.", dir=cache))
        for path in left:
            # What cannot be moved is still seen, and does not keep the rest.
            with suppress(OSError):
                path.rename(gone / path.name)

    def remove() -> None:
        # A signal that is meant for the run does not reach it.
        os.setsid()
        for path in cache.glob(f"{GONE}.*"):
            if path.suffix != LOCK:
                with suppress(OSError):
                    files.remove_all(path)

    with removal(lab):
        go_on_alone(remove)


def cache_of(lab: Lab) -> Path:
    """Return the folder of what is needed only while the store is filled."""
    return Path(lab.root, "cache")


def turn(lab: Lab, name: str) -> AbstractContextManager[int]:
    """Hold, in the block, the lock under which something is made, and yield its descriptor."""
    return _turn(lab, name, f"making {name}")


def removal(lab: Lab) -> AbstractContextManager[int]:
    """Hold, in the block, the lock under which what was cleared is removed."""
    return _turn(lab, GONE, "removing the build caches")


def _turn(lab: Lab, name: str, doing: str) -> AbstractContextManager[int]:
    return locked(
        cache_of(lab) / f"{name}{LOCK}",
        _TURN_S,
        f"another run has been {doing} for {_TURN_S / 60:.0f} minutes: end it, then run again",
        f"waiting for another run that is {doing}",
    )


def stamp(folder: Path) -> None:
    """Note mode, size and time of every file. While they stay, nobody reads the content again; a
    copy of the store that keeps times is trusted like the store."""
    lines = [f"{name}\t{stat}\n" for name, stat in stamped(folder).items()]
    files.write(folder / STAMP, "".join(lines), 0o644)
