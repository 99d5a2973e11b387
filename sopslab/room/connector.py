"""pyinfra's connector `@seat`: a learner's machine, reached by the same `ssh` as deliveries."""

from __future__ import annotations

from collections.abc import Iterator
from io import IOBase
from typing import TYPE_CHECKING, Any

from pyinfra import logger
from pyinfra.api.command import StringCommand
from pyinfra.api.exceptions import InventoryError
from pyinfra.connectors.base import BaseConnector
from pyinfra.connectors.util import CommandOutput, OutputLine, make_unix_command_for_host
from typing_extensions import Unpack, override

from sopslab.config.settings import load_settings
from sopslab.errors import LabError
from sopslab.room.connection import Connection
from sopslab.room.reaching import connection_to

if TYPE_CHECKING:
    from pyinfra.api.arguments import ConnectorArguments

_COMMAND_S = 600


class SeatConnector(BaseConnector):
    """
    The machine of a learner's seat in a room. ``inventories/seats.py`` names the seats.

    ``connect`` does not connect: pyinfra connects to all hosts before the first operation, and one
    dead machine would hold up all others until its connection fails. The first command connects.

    .. code:: shell

        pyinfra inventories/seats.py exec -- uptime
    """

    handles_execution = True

    _open: Connection | None = None

    @override
    @staticmethod
    def make_names_data(name: str | None = None) -> Iterator[tuple[str, dict[str, Any], list[str]]]:
        if not name:
            raise InventoryError("a seat is named by its learner, as in @seat/ada")
        yield f"@seat/{name}", {}, ["@seat"]

    @property
    def connection(self) -> Connection:
        """The connection to the machine, which is opened by its first use.

        Raises InputError if the host's data are no settings, and what `connection_to` raises.
        """
        if self._open is None:
            self._open = connection_to(load_settings(self.host.data.dict()))
        return self._open

    @override
    def disconnect(self) -> None:
        if self._open is not None:
            self._open.close()

    @override
    def run_shell_command(
        self,
        command: StringCommand,
        print_output: bool = False,
        print_input: bool = False,
        **arguments: Unpack[ConnectorArguments],
    ) -> tuple[bool, CommandOutput]:
        arguments.pop("_get_pty", None)
        patience = arguments.pop("_timeout", None) or _COMMAND_S
        stdin = arguments.pop("_stdin", None)
        expected = arguments.pop("_success_exit_codes", None) or [0]
        line = make_unix_command_for_host(self.state, self.host, command, **arguments)
        logger.debug("--> Running command on %s: %s", self.host, line)
        if print_input:
            logger.info("%s>>> %s", self.host.print_prefix, line)
        try:
            ended = self.connection.run(
                ["sh", "-c", line.get_raw_value()], _as_bytes(stdin), patience
            )
        except LabError as error:
            return False, CommandOutput([OutputLine("stderr", str(error))])
        lines = [*_lines("stdout", ended.out), *_lines("stderr", ended.words)]
        if print_output:
            for one in lines:
                logger.info("%s%s", self.host.print_prefix, one.line)
        return ended.code in expected, CommandOutput(lines)

    @override
    def put_file(
        self, filename_or_io: str | IOBase, remote_filename: str, *_: Any, **__: Any
    ) -> bool:
        raise NotImplementedError("a seat gets its files from `sopslab up inventories/seats.py`")

    @override
    def get_file(
        self, remote_filename: str, filename_or_io: str | IOBase, *_: Any, **__: Any
    ) -> bool:
        raise NotImplementedError("no file of a seat is fetched: `sopslab support` brings its logs")


def _as_bytes(stdin: object) -> bytes:
    """Return the standard input of a command. pyinfra passes one text, a list of lines, or None."""
    if stdin is None:
        return b""
    lines = stdin if isinstance(stdin, list | tuple) else [stdin]
    return "".join(
        line if line.endswith("\n") else f"{line}\n" for line in map(str, lines)
    ).encode()


def _lines(name: str, output: bytes) -> list[OutputLine]:
    return [OutputLine(name, line) for line in output.decode("utf-8", "replace").splitlines()]
