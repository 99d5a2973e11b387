"""Hosts for tests: this machine, and a fake host that only answers commands."""

from __future__ import annotations

import contextlib
import json
import re
import runpy
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pyinfra.api import Config, FactBase, Inventory, State, StringCommand
from pyinfra.api.connect import connect_all, disconnect_all
from pyinfra.api.exceptions import PyinfraError
from pyinfra.api.facts import get_fact
from pyinfra.api.operation import add_op
from pyinfra.api.operations import run_ops
from pyinfra.api.state import StateStage
from pyinfra.connectors.base import DataMeta
from pyinfra.connectors.fake import FakeConnector
from pyinfra.connectors.local import LocalConnector
from pyinfra.context import ctx_host, ctx_state
from typing_extensions import override

from sopslab.checks.causes import OURS
from sopslab.config.settings import Settings
from sopslab.files import events
from sopslab.layout import PROJECT
from sopslab.model.events import Ended, from_line
from sopslab.model.wire import encode, name_of
from sopslab.provision.command import program
from sopslab.run import reporter, session

REFUSAL = '"$@" >&2; exit 1'
"""The part of a command's text by which a fake host recognises a refusal."""


def text_of(command: StringCommand) -> str:
    """Return the shell script that a command runs."""
    words = shlex.split(command.get_raw_value())
    if "-euc" in words:
        return words[words.index("-euc") + 1]
    return Path(words[words.index("-eu") + 1]).read_text()


def arguments_of(command: StringCommand) -> list[str]:
    """Return what the script of a command gets as `$1`, `$2`, …"""
    words = shlex.split(command.get_raw_value())
    if "-euc" in words:
        return words[words.index("-euc") + 3 :]
    return words[words.index("-eu") + 2 :]


def order_of(command: StringCommand) -> tuple[str, dict[str, Any]]:
    """Return the function that a command tells the lab's own program to call, and its arguments
    without the lab."""
    words = shlex.split(command.get_raw_value())
    what, *given = words[words.index("sopslab.lab") + 1 :]
    order = json.loads(given[0] if given else str(command.connector_arguments["_stdin"]))
    return what, {name: value for name, value in order.items() if name != "lab"}


def run_command(command: StringCommand) -> subprocess.CompletedProcess[str]:
    """Run a command on this machine, as @local does; the lab's own sentences lose their mark."""
    stdin = command.connector_arguments.get("_stdin")
    done = subprocess.run(
        ["sh", "-c", command.get_raw_value()],
        input=None if stdin is None else f"{stdin}\n",
        capture_output=True,
        text=True,
        check=False,
    )
    done.stderr = done.stderr.replace(f"{OURS}: ", "")
    return done


def local_fact(fact: type[FactBase[Any]], **arguments: Any) -> Any:
    """Return a fact about this machine, read by pyinfra's connector @local."""
    state = State(Inventory((["@local"], {})), Config())
    host = state.inventory.get_host("@local")
    state.set_stage(StateStage.Connect)
    connect_all(state)
    state.set_stage(StateStage.Prepare)
    with ctx_state.use(state), ctx_host.use(host):
        value = get_fact(state, host, fact, kwargs=arguments)
    assert not state.failed_hosts, f"{fact.__name__} could not be read"
    return value


class Answers(dict[str, str]):
    """The output of a fake host for each command, by the exact text of the command.

    A key that begins with `…` stands for every command that contains the rest of the key.

    + effects: for commands that contain all of these parts, the answers that hold afterwards
    + failures: for commands that contain this part, which fail, what they write to standard error
    """

    def __init__(
        self,
        answers: Mapping[str, str],
        effects: Mapping[tuple[str, ...], Mapping[str, str]] | None = None,
        failures: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(answers)
        self.commands: list[str] = []
        self._effects = dict(effects or {})
        self._failures = dict(failures or {})

    def failing(self, failures: Mapping[str, str]) -> Answers:
        """Return the answers of a host on which commands with these parts fail, too."""
        return Answers(dict(super().items()), self._effects, {**self._failures, **failures})

    def __bool__(self) -> bool:
        return True

    @override
    def items(self) -> Iterator[tuple[str, Any]]:  # type: ignore[override]
        """Yield the answer to the last command. The connector asks for all answers, and takes the
        first one that matches."""
        command = self.commands[-1]
        for part, stderr in self._failures.items():
            if part in command:
                yield "", {"success": False, "stderr": stderr}
                return
        # Such a key is for commands whose whole text is too long to be written in a test.
        known = next((key for key in self if key.startswith("…") and key[1:] in command), command)
        answer = self.get(known, "")
        for parts, answers in self._effects.items():
            if all(part in command for part in parts):
                self.update(answers)
        yield "", answer

    def patterns(self) -> dict[re.Pattern[str], str]:
        """Return the answers by pattern, for a fake host that does not tell this object which
        commands it executes, such as that of an inventory."""
        found = {}
        for key, answer in dict(super().items()).items():
            part = key.removeprefix("…")
            pattern = re.escape(part) if part != key else rf"\A{re.escape(key)}\Z"
            found[re.compile(pattern)] = answer
        return found


class Given(NamedTuple):
    """A command as a host gets it: what `ps` shows of it, and what it reads on standard input."""

    command: str
    stdin: str

    @property
    def text(self) -> str:
        """All that the host is told by it: an order to the lab's own program is on standard
        input."""
        return f"{self.command} {self.stdin}"


@contextlib.contextmanager
def recorded() -> Iterator[list[Given]]:
    """Yield the commands that fake hosts get from here on. The hosts themselves record neither
    standard input nor what pyinfra masks."""
    given: list[Given] = []
    execute = FakeConnector.run_shell_command

    def write_down(connector: FakeConnector, command: str | StringCommand, **more: Any) -> Any:
        shown = command if isinstance(command, str) else command.get_raw_value()
        given.append(Given(shown, str(more.get("_stdin") or "")))
        return execute(connector, command, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeConnector, "run_shell_command", write_down)
        yield given


class Run:
    """What a deploy file did on a fake host.

    `changed` and `unchanged` are the names of its operations, in order. `commands` are all commands
    that were run, those of facts included, as a log shows them; `given` are the same commands as
    the host gets them. `events` are the events that it wrote.
    """

    def __init__(self, deploy: Path, data: Mapping[str, Any], answers: Answers) -> None:
        with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryFile("w+") as told:
            patch.setenv(events.DESCRIPTOR, str(told.fileno()))
            patch.setattr(session, "_locked", set())
            patch.setattr(reporter.Reporter, "_planned", False)
            patch.setitem(FakeConnector.data_meta, "fake_responses", DataMeta("", answers))
            patch.setitem(FakeConnector.data_meta, "fake_delay", DataMeta("", 0))
            patch.setitem(FakeConnector.data_meta, "fake_delay_jitter", DataMeta("", 0))
            with recorded() as self.given:
                self._run(deploy, data, answers)
            # The reporter may have registered an event for the exit of this process, after an
            # aborted run. Nothing would read it, so it is not written.
            patch.setattr(reporter.Reporter, "_started", None)
            told.seek(0)
            self.events = [from_line(line) for line in told]

    def _run(self, deploy: Path, data: Mapping[str, Any], answers: Answers) -> None:
        inventory = Inventory(([("@fake/seat", dict(data))], {}))
        state = State(inventory, Config(), check_for_changes=False)
        state.cwd = str(PROJECT)
        state.set_stage(StateStage.Connect)
        connect_all(state)
        host = inventory.get_host("@fake/seat")
        assert isinstance(host.connector, FakeConnector)
        answers.commands = self.commands = host.connector.executed_commands
        state.set_stage(StateStage.Prepare)
        with ctx_state.use(state), ctx_host.use(host):
            runpy.run_path(str(deploy))
        state.set_stage(StateStage.Execute)
        self.failed = False
        try:
            run_ops(state)
        except PyinfraError:
            self.failed = True
        self.changed: list[str] = []
        self.unchanged: list[str] = []
        for key in state.get_op_order():
            meta = state.ops[host][key].operation_meta
            if meta.is_complete():
                names = self.changed if meta.did_change() else self.unchanged
                names.append(min(state.op_meta[key].names))
        state.set_stage(StateStage.Disconnect)
        disconnect_all(state)

    def notes(self, operation: str) -> list[str]:
        """Return the notes of an operation's event."""
        (event,) = [event for event in self.ends if str(event.operation) == operation]
        return list(event.notes)

    @property
    def ends(self) -> list[Ended]:
        """The events at the ends of operations."""
        return [event for event in self.events if isinstance(event, Ended)]


def fact_text(fact: type[FactBase[Any]], **arguments: Any) -> str:
    """Return the text of a fact's command, by which a fake host recognises it."""
    command: Callable[..., StringCommand] = fact().command  # type: ignore[assignment]
    return str(command(**arguments))


def look_text(settings: Settings, function: Callable[..., Any], **order: Any) -> str:
    """Return the text of the command with which a function of `sopslab.lab` looks at a host."""
    return machine_look_text(function, lab=settings.for_machine, **order)


def machine_look_text(function: Callable[..., Any], **order: Any) -> str:
    """Return the text of the command with which a function that needs no lab looks at a host."""
    told = json.dumps(encode(order), ensure_ascii=False)
    return str(program(name_of(function), told))


class Applied:
    """What an operation did to this machine, run by pyinfra's connector @local."""

    def __init__(self, operation: Callable[..., Any], **arguments: Any) -> None:
        state = State(Inventory((["@local"], {})), Config(), check_for_changes=False)
        state.set_stage(StateStage.Connect)
        connect_all(state)
        state.set_stage(StateStage.Prepare)
        meta = add_op(state, operation, name="Do it", **arguments)[
            state.inventory.get_host("@local")
        ]
        state.set_stage(StateStage.Execute)
        # If no host is left, pyinfra raises; what went wrong is in the operation's meta.
        with contextlib.suppress(PyinfraError):
            run_ops(state)
        self.failed: bool = meta.did_error()
        self.changed: bool = meta.did_change()
        self.stdout = meta.stdout
        self.stderr = meta.stderr.replace(f"{OURS}: ", "")


class _Looking:
    """This machine as an operation asks it. The commands of the operation are not run."""

    connector = object.__new__(LocalConnector)

    @staticmethod
    def get_fact(fact: type[FactBase[Any]], **arguments: Any) -> Any:
        return local_fact(fact, **arguments)

    @staticmethod
    def noop(reason: str) -> None:
        """Do nothing."""


def would_run(operation: Callable[..., Any], **arguments: Any) -> list[StringCommand]:
    """Return the commands that an operation would run on this machine as it is now."""
    with ctx_host.use(_Looking()):
        return list(operation._inner(**arguments))  # type: ignore[attr-defined]
