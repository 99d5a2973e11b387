"""pyinfra as the process of a run: ``python -P -m sopslab.run.start INVENTORY DEPLOY …``.

gevent and pyinfra ask some thirty times which plugins are installed, and each time Python would
read the metadata of every installed package, which takes a fifth of the time of their import. Here
the metadata is read once. For each operation, pyinfra asks for the numbers of the lines from which
it is called, and Python would read each line, too: a fourteenth of a run's own time. paramiko,
which pyinfra imports but labs and rooms do not use, is made to believe that invoke is not
installed: with invoke, paramiko would run the commands of an ssh_config (`Match exec`). Before it
loads a deploy, pyinfra forbids Python to keep compiled modules, so that each run would compile the
tasks and operations again. For its command `exec`, which no run is, pyinfra imports nineteen
modules of operations, and as many of facts. For each operation and fact, it evaluates the types of
all arguments that every operation has.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module, metadata
from types import FrameType, ModuleType, TracebackType
from typing import Any, cast

_getframeinfo = inspect.getframeinfo
_OF_EXEC = "pyinfra.operations.server"


def main() -> None:
    """Run pyinfra's own command, as its script `pyinfra` does."""
    # Reading once is enough, because nothing is installed during a run.
    metadata.entry_points = metadata.entry_points().select
    inspect.getframeinfo = _without_source
    # With None here, Python reports that the module is not installed.
    sys.modules["invoke"] = cast(ModuleType, None)
    # Whoever asks for the module later gets the real one.
    sys.modules[_OF_EXEC] = ModuleType(_OF_EXEC)
    command: Any = import_module("pyinfra_cli.main")
    del sys.modules[_OF_EXEC]
    # The types of a class stay what they are.
    arguments: Any = import_module("pyinfra.api.arguments")
    arguments.get_type_hints = cache(arguments.get_type_hints)
    command.cli = partial(_keeping_modules, command.cli, sys.dont_write_bytecode)
    command.main()


def _keeping_modules(cli: Callable[[], object], forbidden: bool) -> None:
    """Call `cli`, with compiled modules kept unless that was `forbidden` before pyinfra came."""
    sys.dont_write_bytecode = forbidden
    cli()


def _without_source(frame: FrameType | TracebackType, context: int = 0) -> inspect.Traceback:
    """Do the same as `inspect.getframeinfo`, as if it were asked for no lines of source."""
    return _getframeinfo(frame, 0)


if __name__ == "__main__":
    main()
