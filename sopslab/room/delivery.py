"""Delivery of the product and the store to a machine, which is sent only what it lacks of them."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sopslab.checks.causes import OURS, of_programs
from sopslab.config.places import Lab
from sopslab.errors import Exit, LabError
from sopslab.lab import beginning
from sopslab.lab.bundles.filling import record_text
from sopslab.lab.bundles.product import product_for
from sopslab.lab.bundles.writing import Contents, Progress, pack_contents
from sopslab.lab.store.members import packed, using
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.bundles import LoadedBundle
from sopslab.model.machines import Consignment, HeldStore, Machine, SeatState
from sopslab.model.members import Member
from sopslab.model.wire import decoded, encode
from sopslab.model.words import counted
from sopslab.room.connection import Connection, Ended, Session

# How many bytes of a delivery are done, and how many there are.
Tell = Callable[[int, int], None]

# The text of the program comes first on standard input, and the program's own input follows.
_BEGIN = "import sys; exec(sys.stdin.buffer.read(int(sys.argv.pop(1))))"
_PIECE = 1 << 16
# Longer than the program on the machine waits for the store.
_LOOK_S = 330
# How long a machine may read nothing while bytes are sent.
_STALL_S = 60
# A slower machine is given up, because others wait for their turn. The next delivery to it goes on
# from where this one ended.
_SLOWEST = 50_000  # bytes in a second
# After the last byte, the machine makes a Python environment, or checks the last entry.
_END_S = 900
_LONGEST = 300
# Bounds of what a machine says of itself, because that is shown, and used in calculations.
_LONGEST_ROOT = 1024
_LONGEST_WORD = 64
_MOST_SPACE = 1 << 64
_LATEST = 1 << 40
# A smaller difference does no harm to certificates and tokens.
_MOST_OFF_S = 300
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60))
_NO_PROGRAM = 127


class Unfit(LabError):
    """A machine cannot have a lab: a sentence for each thing that it lacks."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), Exit.HOST)


@dataclass(frozen=True)
class Cargo:
    """What machines get: the product and the entries of a store, packed in the folders of `lab`."""

    lab: Lab
    contents: Contents
    product: Member
    entries: tuple[Member, ...]

    @property
    def record(self) -> LoadedBundle:
        """The record of a store that has the whole cargo."""
        entries = {member.name: member.content for member in self.entries}
        sum_of = hashlib.sha256(json.dumps(sorted(entries.items())).encode()).hexdigest()
        return LoadedBundle(sum_of, self.contents.product, self.contents.source, entries)

    def missing(self, store: HeldStore) -> tuple[Member, ...]:
        """Return the entries that a store does not have."""
        return tuple(
            member for member in self.entries if store.entries.get(member.name) != member.content
        )


@dataclass(frozen=True)
class Delivered:
    """What a machine got: whether the product was sent, how many entries, and how many bytes.
    `root` is the absolute path of the folder on the machine."""

    root: str
    product: bool
    entries: int
    bytes: int

    @property
    def nothing(self) -> bool:
        """Whether the machine had everything already."""
        return not self.product and not self.entries


@contextmanager
def prepare(lab: Lab, contents: Contents, progress: Progress) -> Iterator[Cargo]:
    """Pack what is not packed yet, and yield the cargo. The packed files stay until the end of the
    block.

    Raises LabError if an entry is not in the store, or a Python package is not available.
    """
    made = product_for(contents.arch, contents.pythons)
    with using(lab, made.content):
        product, *entries = pack_contents(lab, contents, made, progress)
        yield Cargo(lab, contents, product, tuple(entries))


def look(connection: Connection, root: str, product: str = "") -> SeatState:
    """Return the state of a machine. Raises Unreachable, and Unfit if the machine gives no valid
    answer, for example because it has no Python.

    + root: the folder for product and store there; absolute, or beginning with `~/`
    + product: the checksum of a product, which looks at the store there if the machine has it
    """
    command, text = _beginning("state", root, product)
    ended = connection.run(command, text, _LOOK_S)
    # The answer is the last line: the user's shell may print others when it starts.
    found = decoded(SeatState, ended.out.strip().rpartition(b"\n")[2])
    if found is None or not _is_possible(found):
        raise Unfit([_without_answer(connection, ended)])
    return found


def _is_possible(found: SeatState) -> bool:
    """Return whether an answer can be true. A learner can make a machine answer anything."""
    words = (found.arch, found.product)
    return (
        found.root.startswith("/")
        and found.root.isprintable()
        and len(found.root) <= _LONGEST_ROOT
        and all(word.isprintable() and len(word) <= _LONGEST_WORD for word in words)
        and 2 <= len(found.python) <= 3
        and all(0 <= number < 1000 for number in found.python)
        and 0 <= found.space < _MOST_SPACE
        and 0 <= found.clock < _LATEST
    )


def problems(machine: Machine, found: SeatState, cargo: Cargo, now: float) -> list[str]:
    """Return why nothing can be delivered to a machine, a sentence for each reason.

    + now: the time on this machine when the other one answered, in seconds since 1970
    """
    wanted, has = cargo.contents, ".".join(map(str, found.python[:2]))
    said = []
    if found.python[:2] < beginning.OLDEST:
        said.append(_too_old(found.python[:2]))
    elif has not in wanted.pythons:
        said.append(
            f"its python3 is {has}, and what is delivered is for {', '.join(wanted.pythons)}: use"
            " one of them there"
        )
    if found.arch != wanted.arch:
        said.append(
            f"its processors are {found.arch}, and this store is for {wanted.arch}: deliver from a"
            " machine of its kind"
        )
    said += [
        f"{name} is missing: install {package}"
        for name, package, there in (
            ("git", "git", found.git),
            ("docker", "docker.io, and on Debian 13 docker-cli", found.docker),
        )
        if not there
    ]
    if found.sudo == "password":
        said.append(
            "sudo asks for a password: allow this user NOPASSWD in /etc/sudoers.d, or connect as"
            " root"
        )
    elif found.sudo == "missing":
        said.append("sudo is missing, and this user is not root: install it, or connect as root")
    ahead = found.clock - now
    if abs(ahead) > _MOST_OFF_S:
        said.append(
            f"its clock is {_duration(abs(ahead))} {'ahead of' if ahead > 0 else 'behind'} the one"
            " here: set whichever is wrong, because certificates and tokens go by them"
        )
    needed = _space(found, cargo)
    if needed > found.space:
        said.append(
            f"{needed / 1e9:.1f} GB are needed in {found.root}, and {found.space / 1e9:.1f} GB are"
            " free there: make room"
        )
    return [f"{machine}: {each}" for each in said]


def _duration(seconds: float) -> str:
    """Return a duration in words, in the largest unit of which it has at least one."""
    unit, length = next((one for one in _UNITS if seconds >= one[1]), _UNITS[-1])
    return counted(int(seconds / length), unit)


def _too_old(python: tuple[int, ...]) -> str:
    return f"its python3 is {'.'.join(map(str, python))}, and 3.11 or later is needed: install that"


def _space(found: SeatState, cargo: Cargo) -> int:
    """Return how many free bytes a machine needs at least. The content of its store is known only
    if the machine has the cargo's own product."""
    if found.store is not None:
        return sum(member.unpacked for member in cargo.missing(found.store))
    # A machine holds the product three times: packed, as wheels, and installed.
    product = 3 * cargo.product.unpacked
    if found.product:
        return product
    return product + sum(member.unpacked for member in cargo.entries)


def deliver(
    connection: Connection,
    cargo: Cargo,
    root: str,
    tell: Tell,
    turn: AbstractContextManager[object],
) -> Delivered:
    """Send a machine what it lacks of the cargo.

    Raises Unreachable, Unfit, or LabError if the machine refuses it, because another run is at work
    there or its disk is full. What has arrived stays, and the next delivery goes on from there.

    + root: as for `look`
    + turn: held while bytes are sent, such as a semaphore that limits how many machines are served
        at once
    """
    found = look(connection, root, cargo.product.sha256)
    if said := problems(connection.machine, found, cargo, time.time()):
        raise Unfit(said)
    if found.store is not None and _has_all(found.store, cargo):
        return Delivered(found.root, False, 0, 0)
    with turn:
        return _send(connection, cargo, found, tell)


def _has_all(store: HeldStore, cargo: Cargo) -> bool:
    recorded = hashlib.sha256(record_text(cargo.record).encode()).hexdigest()
    return not cargo.missing(store) and store.record == recorded


def _send(connection: Connection, cargo: Cargo, found: SeatState, tell: Tell) -> Delivered:
    store, before = found.store, 0
    if store is None:
        before = cargo.product.size
        _send_product(connection, cargo, found.root, lambda done: tell(done, before))
        store = look(connection, found.root, cargo.product.sha256).store
        if store is None:
            raise LabError(
                f"{connection.machine}: the product was delivered, and does not start; remove"
                f" {found.root}/product there, and run the same again",
                Exit.HOST,
            )
    missing = cargo.missing(store)
    total = before + sum(member.size for member in missing)
    if not _has_all(store, cargo):
        _send_entries(
            connection, cargo, missing, found.root, lambda done: tell(before + done, total)
        )
    return Delivered(found.root, found.store is None, len(missing), total)


def _send_product(
    connection: Connection, cargo: Cargo, root: str, tell: Callable[[int], None]
) -> None:
    product = cargo.product
    command, text = _beginning("product", root, product.sha256, str(product.size))
    _stream(connection, command, text, [packed(cargo.lab, product)], tell)


def _send_entries(
    connection: Connection,
    cargo: Cargo,
    missing: Sequence[Member],
    root: str,
    tell: Callable[[int], None],
) -> None:
    python = f"{root}/product/{cargo.product.sha256[: beginning.SHORT]}/environment/bin/python"
    order = ["-I", "-m", "sopslab.lab", "bundles.receiving.take", json.dumps({"root": root})]
    told = json.dumps(encode(Consignment(tuple(missing), cargo.record)))
    paths = [packed(cargo.lab, member) for member in missing]
    _stream(connection, [python, *order], f"{told}\n".encode(), paths, tell)


def _stream(
    connection: Connection,
    command: Sequence[str],
    head: bytes,
    paths: Sequence[Path],
    tell: Callable[[int], None],
) -> None:
    """Start a program, send it `head` and then the files, and wait for its end. Raises LabError if
    the program fails.

    + tell: called with the number of bytes of the files that were sent
    """
    with connection.start(command) as session:
        # A program stops reading if it refuses what is sent, or has it already.
        with suppress(BrokenPipeError):
            session.write(head, _STALL_S)
            _send_files(session, paths, tell)
        ended = session.end(_END_S)
    if ended.code:
        raise LabError(f"{connection.machine}: {_reason(ended)}", Exit.HOST)


def _send_files(session: Session, paths: Sequence[Path], tell: Callable[[int], None]) -> None:
    done, deadline = 0, Deadline(_STALL_S + sum(path.stat().st_size for path in paths) / _SLOWEST)
    for path in paths:
        with path.open("rb", buffering=0) as file:
            while piece := file.read(_PIECE):
                session.write(piece, min(_STALL_S, deadline.left))
                done += len(piece)
                tell(done)


def _beginning(*arguments: str) -> tuple[list[str], bytes]:
    """Return the command that starts the program `beginning` on a machine, and the text of that
    program, which the command reads first."""
    text = Path(beginning.__file__).read_bytes()
    return ["python3", "-I", "-c", _BEGIN, str(len(text)), *arguments], text


def _without_answer(connection: Connection, ended: Ended) -> str:
    """Return why a machine gave no valid answer to `look`."""
    if ended.code == _NO_PROGRAM:
        return f"{connection.machine}: python3 is missing: install 3.11 or later"
    # A Python that is too old cannot even parse the program.
    version = connection.run(["python3", "--version"]).out
    number = re.search(rb"Python (\d{1,3})\.(\d{1,3})", version)
    if number and (older := (int(number[1]), int(number[2]))) < beginning.OLDEST:
        return f"{connection.machine}: {_too_old(older)}"
    return f"{connection.machine}: {_reason(ended)}"


def _reason(ended: Ended) -> str:
    """Return in one sentence why a program of the lab failed on a machine. Others may control the
    machine, so messages that are not the lab's own are replaced by their meaning."""
    lines = ended.words.decode("utf-8", "replace").splitlines()
    for line in lines:
        begin, _, told = line.partition(": ")
        if begin in (beginning.SAYS, OURS) and told:
            return told[:_LONGEST]
    return of_programs(lines)
