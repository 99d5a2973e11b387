"""One run at a time for a lab; a lock ends with the process that holds it, however that ends."""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from sopslab.errors import Exit, LabError
from sopslab.run.lock import held_by, hold
from tests.processes import holding


def test_a_second_run_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    with holding(tmp_path / "lock") as process:
        with pytest.raises(LabError, match=rf"process {process.pid}: wait") as caught:
            hold(tmp_path / "lock")
        assert caught.value.code is Exit.LOCKED
        assert held_by(tmp_path / "lock") == str(process.pid)


@pytest.fixture
def looked_at(tmp_path: Path) -> Iterator[IO[str]]:
    """Return a lock file that somebody else is looking at."""
    with (tmp_path / "lock").open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield file


def test_whoever_looks_at_a_lock_keeps_nobody_from_it(tmp_path: Path, looked_at: IO[str]) -> None:
    threading.Timer(0.05, fcntl.flock, (looked_at, fcntl.LOCK_UN)).start()
    hold(tmp_path / "lock")


@pytest.mark.usefixtures("looked_at")
def test_who_else_looks_at_a_lock_is_not_taken_for_its_holder(tmp_path: Path) -> None:
    assert held_by(tmp_path / "lock") is None


def test_the_lock_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    with holding(tmp_path / "lock") as process:
        process.kill()
        process.wait()
        hold(tmp_path / "lock")
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"


def test_patience_waits_for_the_other_run_to_finish(tmp_path: Path) -> None:
    with holding(tmp_path / "lock") as process:
        threading.Timer(0.1, process.terminate).start()
        hold(tmp_path / "lock", patience=20)
        assert process.wait(20) != 0


def test_patience_has_an_end(tmp_path: Path) -> None:
    with holding(tmp_path / "lock"):
        started = time.monotonic()
        with pytest.raises(LabError):
            hold(tmp_path / "lock", patience=0.3)
        assert time.monotonic() - started >= 0.3


def test_one_process_may_hold_its_lock_twice(tmp_path: Path) -> None:
    hold(tmp_path / "lock")
    hold(tmp_path / "lock")


def test_two_labs_do_not_wait_for_each_other(tmp_path: Path) -> None:
    with holding(tmp_path / "one" / "lock"):
        hold(tmp_path / "two" / "lock")


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_the_folder_of_the_lock_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        hold(tmp_path / "lab" / "lock")
    finally:
        os.umask(before)
    assert (tmp_path / "lab").stat().st_mode & 0o777 == 0o700


def test_a_place_where_no_lock_can_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(LabError, match=r"Not a directory.*SOPSLAB_ROOT") as caught:
        hold(tmp_path / "file" / "lab" / "lock")
    assert caught.value.code is Exit.HOST
