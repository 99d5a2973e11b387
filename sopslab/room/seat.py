"""Work at a seat of a room: its machine is sent the whole lab, and verbs run there."""

from __future__ import annotations

import base64
import binascii
import json
import re
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from sopslab.config.inputs import CHOOSING, ROOT
from sopslab.config.seats import SEAT_ROOT
from sopslab.errors import Exit, LabError
from sopslab.lab.tools.waiting import Deadline
from sopslab.room.answers import (
    Answer,
    Unreadable,
    bounded,
    changes_in,
    ended_with,
    problems_in,
)
from sopslab.room.connection import Connection
from sopslab.room.delivery import Cargo, deliver

# What a seat does now, in a few words.
Tell = Callable[[str], None]

# A run prints something at least every half minute, and a verb that only looks ends within this
# time.
_SILENCE_S = 300
_WAIT = re.compile(r"--wait=(\d{1,4})(\.\d*)?")
# The longest time for a verb, even if it goes on printing.
_RUN_S = 4 * 3600
_END_S = 60
# How long to wait for another run at the seat. If its controller was killed, that run ends as soon
# as it has something to print.
_OTHER_RUN_S = 60
_PAUSE_S = 2
_FILE_S = 30
# Only the seat knows its `$HOME`. What its shell sets may name another lab than the delivered one.
_PROGRAM = (
    f'unset {" ".join(CHOOSING)}; export {ROOT}="${{HOME%/}}/{SEAT_ROOT[2:]}"; '
    'export SOPSLAB_EVENTS_FD=1 PATH="$PATH:/usr/sbin:/sbin"; '
    'command -v "$HOME/$0" >/dev/null || exit 127; exec "$HOME/$0" "$@"'
)
# The file is private from the beginning, and gets its name once it is complete.
_WRITE = (
    'set -eu; umask 077; cat >"$1.new"; '
    'if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; echo new; fi'
)
# In lines of text, because a session reads lines, and their length and number are bounded.
_BRING = 'base64 "$HOME/$1" && rm "$HOME/$1"'
_MOST_BROUGHT = 64 << 20
_BRING_S = 900


@dataclass(frozen=True)
class Outcome:
    """How a verb ended at a seat: its exit code, the number of changes, the problems in sentences,
    and the JSON that it printed, "" without any."""

    code: int
    changed: int
    problems: tuple[str, ...] = ()
    answer: str = ""


def give_lab(
    connection: Connection,
    cargo: Cargo,
    lab_file: bytes,
    words: Sequence[str],
    tell: Tell,
    turn: AbstractContextManager[object],
) -> Outcome:
    """Send a machine what a lab needs and its lab file, and make the lab there.

    + cargo: the product and the entries of the store
    + lab_file: the settings of the seat's lab
    + words: the verb that makes the lab, and its arguments
    + tell: called with what the seat does
    + turn: held while bytes are sent

    A failure at the seat raises nothing: it is in the outcome.
    """

    def progress(done: int, total: int) -> None:
        tell(f"delivery: {done * 10 // max(total, 1) * 10} % of {total / 1e6:.0f} MB")

    try:
        tell("delivery")
        delivered = deliver(connection, cargo, SEAT_ROOT, progress, turn)
        written = _write(connection, f"{delivered.root}/lab.yaml", lab_file)
    except LabError as error:
        return refused(error)
    outcome = _run_in_turn(connection, words, tell)
    given = (not delivered.nothing) + written
    return Outcome(outcome.code, outcome.changed + given, outcome.problems, outcome.answer)


def run_verb(connection: Connection, words: Sequence[str], tell: Tell) -> Outcome:
    """Run a verb of `sopslab` on a machine that has it.

    + words: the verb, and its arguments
    + tell: called with what the seat does
    """
    answer, deadline = Answer(), Deadline(_RUN_S)
    silence = _SILENCE_S + _wait_in(words)
    command = ["sh", "-c", _PROGRAM, f"{SEAT_ROOT[2:]}/bin/sopslab", *words, "--json"]
    try:
        with connection.start(command) as session:
            while (line := session.line(min(silence, deadline.left))) is not None:
                doing = answer.take(line)
                if doing is not None:
                    tell(doing)
            code = session.end(_END_S).code
    except LabError as error:
        return refused(error)
    except Unreadable:
        return _strange()
    try:
        found = answer.parsed()
    except Unreadable:
        # Some verbs print no JSON if they cannot begin.
        return Outcome(code, 0, (ended_with(code),)) if code else _strange()
    return Outcome(code, changes_in(found), problems_in(found, code), json.dumps(found))


def bring(connection: Connection, path: str) -> bytes:
    """Return a file of a seat, and remove it there.

    + path: relative to the home folder

    Raises LabError if the file is missing or too large.
    """
    text: list[str] = []
    length, deadline = 0, Deadline(_BRING_S)
    with connection.start(["sh", "-c", _BRING, "sh", path]) as session:
        while (line := session.line(min(_FILE_S, deadline.left))) is not None:
            length += len(line) + 1
            if length > _MOST_BROUGHT:
                raise LabError(f"{path} is too large to be brought here: look at it there")
            text.append(line)
        code = session.end(_FILE_S).code
    try:
        content = base64.b64decode("".join(text), validate=True)
    except binascii.Error:
        content = b""
    if code or not content:
        raise LabError(f"{path} could not be brought here: look at it there")
    return content


def refused(error: LabError) -> Outcome:
    """Return the outcome at a seat where nothing could be done, with the reason."""
    return Outcome(int(error.code), 0, bounded(str(error).splitlines()))


def lacking(error: OSError) -> LabError:
    """Return why the controller could not do its part."""
    what = error.strerror or type(error).__name__
    where = f" ({error.filename})" if error.filename else ""
    return LabError(
        f"the machine that makes the room could not go on: {what}{where}; put that"
        " right here, and run the same again",
        Exit.HOST,
    )


def _wait_in(words: Sequence[str]) -> int:
    """Return how many seconds a verb was told to wait; it may print nothing meanwhile."""
    return max((int(found[1]) for word in words if (found := _WAIT.fullmatch(word))), default=0)


def _strange() -> Outcome:
    return Outcome(
        int(Exit.FAILED), 0,
        ("this machine answers what no lab of ours does: log in there, and look",),
    )  # fmt: skip


def _run_in_turn(connection: Connection, words: Sequence[str], tell: Tell) -> Outcome:
    """Run a verb, again and again while another run has the lock there; return the last outcome.
    The wait for the other run is bounded."""
    deadline = time.monotonic() + _OTHER_RUN_S
    while True:
        outcome = run_verb(connection, words, tell)
        if outcome.code != Exit.LOCKED or time.monotonic() > deadline:
            return outcome
        tell("waiting for another run to end")
        time.sleep(_PAUSE_S)


def _write(connection: Connection, path: str, content: bytes) -> bool:
    """Write a file on the seat's machine; return whether its content was different. Raises
    LabError."""
    done = connection.run(["sh", "-c", _WRITE, "sh", path], content, _FILE_S)
    if done.code:
        raise LabError(f"{path} could not be written there: look at the disk's space", Exit.HOST)
    return done.out.strip() == b"new"
