"""What a machine receives over a connection: entry by entry, for as long as data comes."""

from __future__ import annotations

import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab import beginning
from sopslab.lab.bundles import filling, receiving
from sopslab.lab.bundles.filling import awaited_turn
from sopslab.lab.observe.store import store_state
from sopslab.lab.store.members import held, pack, packed
from sopslab.model.bundles import LoadedBundle
from sopslab.model.machines import Consignment
from sopslab.model.members import Member
from sopslab.model.wire import encode
from tests.unit.bundles.conftest import ENTRIES

RECORD = LoadedBundle("sum", "0.1.0", "modules", {})

Take = Callable[[bytes], None]


@pytest.fixture
def take(seat: Lab, monkeypatch: pytest.MonkeyPatch) -> Take:
    """Return a function that has a machine receive some data."""

    def run(data: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BufferedReader(io.BytesIO(data))))
        receiving.take(seat.root)

    return run


def refused(take: Take, data: bytes) -> str:
    with pytest.raises(LabError) as reason:
        take(data)
    assert len(str(reason.value).splitlines()) == 1
    return str(reason.value)


@pytest.fixture
def members(full: Lab) -> list[Member]:
    return pack(full, [entry.key for entry in ENTRIES])


def head(members: Sequence[Member]) -> bytes:
    return f"{json.dumps(encode(Consignment(tuple(members), RECORD)))}\n".encode()


def sent(full: Lab, members: Sequence[Member]) -> bytes:
    return head(members) + b"".join(packed(full, member).read_bytes() for member in members)


def test_what_is_sent_is_held_and_on_record(
    take: Take, full: Lab, seat: Lab, members: list[Member]
) -> None:
    assert receiving.held(seat.root).record == ""
    take(sent(full, members))
    assert receiving.held(seat.root).entries == held(full)
    assert len(receiving.held(seat.root).record) == 64
    assert store_state(seat, images=[]).bundle == "modules"


def test_wherever_it_is_cut_off_what_was_whole_stays(
    take: Take, full: Lab, seat: Lab, members: list[Member]
) -> None:
    data, ends = sent(full, members), [len(head(members))]
    for member in members:
        ends.append(ends[-1] + member.size)
    for length in (0, 10, ends[0] - 1, ends[0], ends[1] - 1, ends[1], ends[2] + 1, ends[3] - 1):
        shutil.rmtree(seat.root, ignore_errors=True)
        said = refused(take, data[:length])
        assert "cut off" in said or "ended early" in said
        whole = [
            member.name for member, end in zip(members, ends[1:], strict=True) if end <= length
        ]
        assert list(held(seat)) == sorted(whole)
        # An incomplete delivery is not on record.
        assert receiving.held(seat.root).record == ""
        assert not list(Path(seat.store).glob(".*"))
    left = [member for member in members if member.name not in held(seat)]
    take(sent(full, left))
    assert held(seat) == held(full)


def test_what_is_not_what_was_said_is_refused(
    take: Take, full: Lab, seat: Lab, members: list[Member]
) -> None:
    data = sent(full, members)
    for spoilt in (
        b"{}\n" + data,
        b"[" * 100_000 + b"\n",
        b"x" * (1 << 21),
        head([replace(members[0], name="../escaped")]) + data[len(head(members)) :],
        head([replace(members[0], what="product"), *members[1:]]) + data[len(head(members)) :],
        data[:-1] + bytes([data[-1] ^ 1]),
    ):
        shutil.rmtree(seat.root, ignore_errors=True)
        refused(take, spoilt)
        assert receiving.held(seat.root).record == ""
    assert not list(Path(seat.root).parent.rglob("escaped"))


def test_what_does_not_fit_is_refused_before_it_comes(
    take: Take, seat: Lab, members: list[Member]
) -> None:
    large = [replace(member, unpacked=1 << 60) for member in members]
    assert "GB are free there" in refused(take, head(large))
    assert held(seat) == {}


def test_one_at_a_time_fills_a_store(
    take: Take,
    full: Lab,
    seat: Lab,
    members: list[Member],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(filling, "_ENDING_S", 0)
    with awaited_turn(seat):
        said = refused(take, sent(full, members))
    assert f"another run is filling {seat.store}: wait for it" in said
    assert held(seat) == {}
    take(sent(full, members))


def test_what_a_killed_run_left_is_swept_up(
    take: Take, full: Lab, seat: Lab, members: list[Member]
) -> None:
    half = Path(seat.store, ".new.half")
    half.mkdir(parents=True)
    (half / "file").write_bytes(b"half")
    take(sent(full, members))
    assert not half.exists()


def test_a_connection_that_only_looks_as_if_it_were_there_is_given_up(
    seat: Lab, members: list[Member], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beginning, "_SILENCE_S", 1)
    here, there = os.pipe()
    try:
        os.write(there, head(members) + b"beginning")
        with os.fdopen(here, "rb") as stream:
            monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(stream))
            with pytest.raises(
                LabError, match="the delivery ended early: nothing has come for 1 s"
            ):
                receiving.take(seat.root)
    finally:
        os.close(there)
    # The next delivery need not wait.
    with suppress(LabError), awaited_turn(seat):
        return
    pytest.fail("the lock is still held")
