"""Deliveries to machines over a real sshd: only what is missing is sent, and the next delivery
completes one that was cut off."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from typing_extensions import override

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.beginning import SHORT
from sopslab.lab.bundles.writing import Contents
from sopslab.lab.observe.store import store_state, this_arch
from sopslab.lab.store.members import held
from sopslab.lab.tools.locks import is_locked
from sopslab.lab.tools.waiting import wait_until
from sopslab.layout import PROJECT
from sopslab.model.machines import HeldStore, Machine, SeatState
from sopslab.model.wire import encode
from sopslab.room import delivery
from sopslab.room.client import Client, client
from sopslab.room.connection import Connection, Ended, Process, Session, Unreachable
from sopslab.room.delivery import (
    Cargo,
    Delivered,
    Tell,
    Unfit,
    deliver,
    look,
    prepare,
    problems,
)
from tests.sshd import PYTHON, Seat, seat
from tests.texts import write_program
from tests.unit.artifacts.conftest import entry, publish
from tests.unit.bundles.conftest import have_small_product

# Random contents, which cannot be compressed.
_SIZE = 300_000
FILES = {name: {"bin/tool": os.urandom(_SIZE)} for name in ("one", "three", "two")}
ENTRIES = tuple(replace(entry(name, *files), arch=this_arch()) for name, files in FILES.items())
KEYS = [entry.key for entry in ENTRIES]
PYTHONS = (PYTHON.name.removeprefix("python"),)
AT_ONCE = nullcontext()
NO_SSH = Client(Path("/nowhere"), Path("/nowhere"))
OLDER = "0" * SHORT
# The delivered product uses the modules of this checkout.
_MODULES = f"{PROJECT}\n{Path(pytest.__file__).resolve().parents[1]}\n"

Seats = Callable[..., Seat]
Connect = Callable[..., Connection]


def nothing(*_: object) -> None:
    pass


@pytest.fixture(scope="module")
def cargo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cargo]:
    """A cargo of three entries and a small product."""
    folder = tmp_path_factory.mktemp("cargo")
    lab = place(folder / "root")
    for name, files in FILES.items():
        publish(lab, files, name, this_arch())
    with pytest.MonkeyPatch.context() as patch:
        have_small_product(folder / "project", patch, {"checkout.pth": _MODULES})
        contents = Contents("0.1.0", "catalog", "modules", this_arch(), ENTRIES, PYTHONS)
        with prepare(lab, contents, nothing) as cargo:
            yield cargo


def place(root: Path) -> Lab:
    """Return a lab with this root."""
    return Lab("lab", str(root), "kind", None, "127.0.0.1", 0, None, None, None, None, "ada")


@dataclass
class First:
    """A delivery to a machine with an older product: its result, and the progress that was told."""

    seat: Seat
    connection: Connection
    root: Path
    given: Delivered
    told: list[tuple[int, int]]


@pytest.fixture(scope="module")
def first(cargo: Cargo, keys: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[First]:
    """A delivery of everything. Tests copy its product, which takes a while to make."""
    folder = tmp_path_factory.mktemp("first")
    with seat(folder / "seat", keys / "own", keys / "host") as made:
        root = made.folder / "a root"
        command = root / "product" / OLDER / "environment" / "bin" / "sopslab"
        write_program(command, "#!/bin/sh\necho older\n")
        (root / "product" / OLDER / "complete").write_text(PYTHONS[0])
        (root / "bin").mkdir()
        (root / "bin" / "sopslab").symlink_to(f"../product/{OLDER}/environment/bin/sopslab")
        connection = Connection(client(folder / "ssh", keys / "own", ()), made.machine)
        assert look(connection, str(root)).product == OLDER
        told: list[tuple[int, int]] = []
        given = deliver(
            connection, cargo, "~/a root", lambda done, total: told.append((done, total)), AT_ONCE
        )
        yield First(made, connection, root, given, told)
        connection.close()


@pytest.fixture
def root(first: First, tmp_path: Path) -> Path:
    """The root of a machine that has the product, and nothing in its store."""
    root = tmp_path / "seat's root"
    for name in ("product", "bin"):
        shutil.copytree(first.root / name, root / name, symlinks=True)
    return root


def give(connection: Connection, cargo: Cargo, root: Path, tell: Tell = nothing) -> Delivered:
    return deliver(connection, cargo, str(root), tell, AT_ONCE)


def refusal(connection: Connection, cargo: Cargo, root: Path) -> str:
    """Return why a delivery is refused."""
    with pytest.raises(LabError) as reason:
        give(connection, cargo, root)
    said = str(reason.value)
    assert all(line.startswith(f"{connection.machine}: ") for line in said.splitlines())
    return said


def test_a_machine_with_an_older_product_gets_this_one_and_all_entries(
    first: First, cargo: Cargo
) -> None:
    size = cargo.product.size + sum(member.size for member in cargo.entries)
    assert first.given == Delivered(str(first.root), True, 3, size)
    assert first.told == sorted(first.told) and first.told[-1] == (size, size)
    assert held(place(first.root)) == held(cargo.lab)
    store = store_state(place(first.root), images=[])
    assert [store.fault(each) for each in ENTRIES] == [None, None, None]
    # The store counts as loaded from a bundle, so nothing is asked of a network.
    assert store.bundle == "modules"
    assert first.connection.run([str(first.root / "bin" / "sopslab")]).out == b"hello\n"
    # Somebody may still work with the older product.
    assert (first.root / "product" / OLDER).is_dir()
    assert first.seat.logins == 1


def times(root: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in root.rglob("*")}


def test_the_second_time_nothing_travels(
    first: First, cargo: Cargo, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    run, turn, before = Connection._process, _Counted(), times(first.root)

    def counted(self: Connection, *words: str) -> AbstractContextManager[Process]:
        asked.append(words)
        return run(self, *words)

    monkeypatch.setattr(Connection, "_process", counted)
    assert deliver(first.connection, cargo, str(first.root), nothing, turn).nothing
    # It waits for no turn, and asks a single question.
    assert (len(asked), turn.taken) == (1, 0)
    assert times(first.root) == before


class _Counted:
    def __init__(self) -> None:
        self.taken = 0

    def __enter__(self) -> None:
        self.taken += 1

    def __exit__(self, *_: object) -> None:
        pass


def test_only_what_is_missing_or_damaged_travels(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    connection, turn = connect(seats().machine), _Counted()
    assert deliver(connection, cargo, str(root), nothing, turn).entries == 3
    Path(root, "store", KEYS[0], "bin/tool").write_bytes(b"damaged")
    shutil.rmtree(Path(root, "store", KEYS[1]))
    given = deliver(connection, cargo, str(root), nothing, turn)
    assert (given.product, given.entries, turn.taken) == (False, 2, 2)
    assert held(place(root)) == held(cargo.lab)
    # A missing record is completed, too.
    (root / "bundle.json").unlink()
    assert deliver(connection, cargo, str(root), nothing, turn).entries == 0
    assert store_state(place(root), images=[]).bundle == "modules"


def in_child(work: Callable[[], object]) -> int:
    """Do some work in a copy of this process; return the signal that ended the copy."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(1)
    return -os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def after_the_first(root: Path, then: Callable[[], None]) -> Tell:
    """Return a function that waits until the first entry is in the store, and then does
    something."""
    first = Path(root, "store", KEYS[0])
    done: list[bool] = []

    def tell(sent: int, _total: int) -> None:
        if sent > _SIZE * 1.5 and not done:
            done.append(True)
            assert wait_until(first.exists, 60, pause=0.05)
            then()

    return tell


def goes_on(connection: Connection, cargo: Cargo, root: Path) -> int:
    """Wait until the earlier delivery has ended by itself. Return how many entries the next
    delivery sends to complete the store."""
    assert wait_until(lambda: not is_locked(root / "cache" / "bundle.lock"), 60, pause=0.1)
    sent = give(connection, cargo, root).entries
    assert held(place(root)) == held(cargo.lab)
    assert not list(Path(root, "store").glob(".*"))
    return sent


def test_a_controller_that_is_killed_leaves_what_the_next_one_completes(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    machine = seats().machine
    end = after_the_first(root, lambda: os.kill(os.getpid(), signal.SIGKILL))
    assert in_child(lambda: give(connect(machine), cargo, root, end)) == signal.SIGKILL
    assert KEYS[0] in held(place(root))
    assert goes_on(connect(machine), cargo, root) < 3


def test_a_connection_that_is_cut_loses_one_entry_at_most(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    made = seats()
    with pytest.raises(Unreachable, match="the connection ended; run the same again"):
        give(connect(made.machine), cargo, root, after_the_first(root, made.cut))
    assert KEYS[0] in held(place(root))
    assert goes_on(connect(made.machine), cargo, root) < 3


def test_of_two_controllers_the_second_is_told_and_breaks_nothing(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    machine = seats().machine
    said: list[str] = []
    second = after_the_first(root, lambda: said.append(refusal(connect(machine), cargo, root)))
    assert give(connect(machine), cargo, root, second).entries == 3
    assert "another run is filling" in said[0] and "wait for it" in said[0]
    assert held(place(root)) == held(cargo.lab)


def test_a_disk_that_becomes_full_is_said(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    """The disk has bytes left but no room for another file, which no check notices beforehand."""
    store = root / "store"
    store.mkdir()
    python = root / "product" / cargo.product.sha256[:SHORT] / "environment" / "bin" / "python"
    python.rename(python.with_name("real"))
    write_program(
        python,
        f"""#!/bin/sh
PATH=/usr/bin:/bin:/sbin
export STORE={shlex.quote(str(store))} REAL={shlex.quote(str(python.with_name("real")))}
exec unshare --map-root-user --mount sh -c '
mount -t tmpfs -o size=200m,nr_inodes=12 none "$STORE" && exec "$REAL" "$@"' sh "$@"
""",
    )
    connection = connect(seats().machine)
    assert refusal(connection, cargo, root).endswith(": the disk is full")
    python.with_name("real").rename(python)
    assert give(connection, cargo, root).entries == 3


def test_a_disk_that_is_too_small_is_said(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    large = tuple(replace(member, unpacked=1 << 60) for member in cargo.entries)
    said = refusal(connect(seats().machine), replace(cargo, entries=large), root)
    assert "GB are free there: make room" in said


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that every account may enter."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_a_machine_that_lacks_much_says_all_of_it(
    seats: Seats, connect: Connect, cargo: Cargo, tmp_path: Path, public: Path
) -> None:
    """The machine is of another kind, its user is not root, and its only program is a sudo that
    asks."""
    made = seats()
    write_program(public / "sudo", "#!/bin/sh\nexit 1\n")
    become = ""
    if os.getuid() == 0:
        # Python itself may be in a folder that only root may enter.
        rights = "--inh-caps +dac_override --ambient-caps +dac_override"
        become = f"/usr/bin/setpriv --reuid 65534 {rights}"
    made.stand_in("python3", f'PATH={public} exec {become} /usr/bin/setarch linux32 {PYTHON} "$@"')
    said = refusal(connect(made.machine), cargo, tmp_path / "root").splitlines()
    for number, part in enumerate(
        (
            "its processors are i686, and this store is for amd64",
            "git is missing: install git",
            "docker is missing: install docker.io",
            "sudo asks for a password: allow this user NOPASSWD",
        )
    ):
        assert part in said[number]
    assert not (tmp_path / "root").exists()


def test_a_machine_whose_clock_is_wrong_is_given_nothing(
    seats: Seats, connect: Connect, cargo: Cargo, tmp_path: Path
) -> None:
    made = seats()
    made.stand_in("python3", f'exec /usr/bin/faketime -f -86500s {PYTHON} "$@"')
    said = refusal(connect(made.machine), cargo, tmp_path / "root")
    assert "its clock is 1 day behind the one here: set" in said
    assert not (tmp_path / "root").exists()
    made.stand_in("python3", f'exec /usr/bin/faketime -f +240s {PYTHON} "$@"')
    assert look(connect(made.machine), str(tmp_path)).clock > time.time()


NOW = 1_800_000_000.0
FIT = SeatState("/r", (3, 11, 2), "amd64", "", True, True, "ok", 1 << 40, None, NOW)


def test_each_problem_has_a_sentence(cargo: Cargo) -> None:
    machine = Machine("seat-1")
    contents = replace(cargo.contents, arch="amd64", pythons=("3.11", "3.12"))
    wanted = replace(cargo, contents=contents)
    assert problems(machine, FIT, wanted, NOW) == []
    for change, part in (
        ({"python": (3, 10, 1)}, "its python3 is 3.10, and 3.11 or later is needed"),
        ({"python": (3, 13, 0)}, "its python3 is 3.13, and what is delivered is for 3.11, 3.12"),
        ({"sudo": "missing"}, "sudo is missing, and this user is not root"),
        ({"clock": NOW + 7300}, "its clock is 2 hours ahead of the one here: set whichever is"),
        ({"clock": NOW - 301}, "its clock is 5 minutes behind the one here"),
        ({"space": 1_000}, "0.0 GB are needed in /r, and 0.0 GB are free"),
    ):
        (said,) = problems(machine, replace(FIT, **change), wanted, NOW)
        assert said.startswith("seat-1: ") and part in said
    # Entries that are already there need no space.
    store = HeldStore({member.name: member.content for member in cargo.entries}, "")
    assert problems(machine, replace(FIT, space=0, store=store), wanted, NOW) == []


def test_python_that_is_missing_or_older_is_said(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    made = seats()
    (made.programs / "python3").unlink()
    connection = connect(made.machine)
    assert "python3 is missing: install 3.11" in refusal(connection, cargo, root)
    made.stand_in("python3", '[ "$1" = --version ] && echo Python 3.9.2 || exit 1')
    assert "its python3 is 3.9, and 3.11 or later" in refusal(connection, cargo, root)


def test_what_a_shell_prints_at_its_start_is_no_answer(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    made = seats()
    made.stand_in("python3", f'echo "Welcome {{}}"; exec {PYTHON} "$@"')
    assert give(connect(made.machine), cargo, root).entries == 3


def test_a_machine_that_takes_a_little_now_and_then_has_no_turn_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_STALL_S", 2)
    monkeypatch.setattr(delivery, "_SLOWEST", 1 << 30)
    file = tmp_path / "member"
    file.write_bytes(bytes(1 << 22))
    sips = Process(["sh", "-c", "while :; do head -c 4096 >/dev/null; sleep 0.1; done"])
    try:
        with pytest.raises(Unreachable):
            delivery._send_files(
                Session(sips, Connection(NO_SSH, Machine("seat-1"))), [file], nothing
            )
    finally:
        sips.kill()


class Says(Connection):
    """A machine that gives the answer that a test sets."""

    def __init__(self, answer: str) -> None:
        self.machine, self._answer = Machine("seat-1"), answer

    @override
    def run(self, command: Sequence[str], stdin: bytes = b"", patience: float = 60) -> Ended:
        return Ended(0, self._answer.encode(), b"")


@pytest.mark.parametrize(
    "change",
    [
        {"space": 10**400}, {"space": -1}, {"python": []}, {"python": [3, 10**400]},
        {"root": "/r\nseat-2: gone"}, {"root": "r"}, {"root": "/" + "r" * 5000},
        {"clock": float("nan")}, {"clock": 10**400}, {"clock": -1},
        {"arch": "\x1b]0;\x07"}, {"arch": "x" * 5000}, {"product": "x" * 5000},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_a_machine_that_says_what_none_can_be_is_refused(change: dict[str, object]) -> None:
    assert look(Says(json.dumps(encode(FIT))), "/r") == FIT
    with pytest.raises(Unfit) as refused:
        look(Says(json.dumps({**encode(FIT), **change})), "/r")
    (said,) = refused.value.problems
    assert said.isprintable() and len(said) < 1_000


def test_words_of_a_machine_are_not_repeated(
    seats: Seats, connect: Connect, cargo: Cargo, root: Path
) -> None:
    made = seats()
    made.stand_in("python3", "echo 'fatal: hunter2: no space left on device' >&2; exit 1")
    said = refusal(connect(made.machine), cargo, root)
    assert said.endswith(": the disk is full")
    made.stand_in("python3", "echo hunter2 >&2; echo '[]'")
    assert "hunter2" not in refusal(connect(made.machine), cargo, root)
