"""pyinfra as the process of a run: ``python -P -m sopslab.run.start INVENTORY DEPLOY …``.

Here pyinfra is spared what takes much of a run's own time, and gives a run nothing:

- gevent and pyinfra ask some thirty times which plugins are installed, and each time Python would
  read the metadata of every installed package. Here it is read once.
- For each operation, pyinfra asks for the numbers of the lines that call it. Python would also look
  for the file of each line, read it, and find out the columns.
- For each operation and each fact, pyinfra evaluates the types of its own arguments.
- For its command `exec`, which no run is, pyinfra imports nineteen modules of operations, and as
  many of facts.
- For its connector `ssh`, which no host of a run has, pyinfra imports paramiko. A seat of a room is
  reached by the program `ssh`.
- Before it loads a deploy, pyinfra forbids Python to keep compiled modules: each run would compile
  tasks and operations again.

Should anything else import paramiko, it is made to believe that invoke is not installed: with
invoke, paramiko would run the commands of an ssh_config (`Match exec`).
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import cache, partial
from importlib import import_module, metadata
from types import FrameType, ModuleType, TracebackType
from typing import Any, cast

from typing_extensions import override

from sopslab.run.garbage import collect_seldom

_LEFT_OUT = (
    "pyinfra.operations.server",
    *("paramiko", *(f"paramiko.{name}" for name in ("agent", "config", "hostkeys", "transport"))),
)


class _LeftOut(ModuleType):
    """A module of which pyinfra wants nothing but names: of types, of classes that it derives from,
    and of exceptions, which nobody raises."""

    @override
    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (Exception,), {})
        setattr(self, name, made)
        return made


def main() -> None:
    """Run pyinfra's own command, as its script `pyinfra` does."""
    collect_seldom()
    # Reading once is enough, because nothing is installed during a run.
    metadata.entry_points = metadata.entry_points().select
    inspect.getframeinfo = _place
    # With None here, Python reports that the module is not installed.
    sys.modules["invoke"] = cast(ModuleType, None)
    sys.modules.update({name: _LeftOut(name) for name in _LEFT_OUT})
    command: Any = import_module("pyinfra_cli.main")
    # pyinfra imports all connectors once it reads the inventory.
    import_module("pyinfra.connectors.ssh")
    # Whoever asks for a module later gets the real one.
    for name in _LEFT_OUT:
        del sys.modules[name]
    # The types of a class stay what they are.
    arguments: Any = import_module("pyinfra.api.arguments")
    arguments.get_type_hints = cache(arguments.get_type_hints)
    command.cli = partial(_keeping_modules, command.cli, sys.dont_write_bytecode)
    command.main()


def _keeping_modules(cli: Callable[[], object], forbidden: bool) -> None:
    """Call `cli`, with compiled modules kept unless that was `forbidden` before pyinfra came."""
    sys.dont_write_bytecode = forbidden
    cli()


def _place(frame: FrameType | TracebackType, context: int = 0) -> inspect.Traceback:
    """Return file, line and function as `inspect.getframeinfo` does, and nothing else."""
    line = frame.tb_lineno if isinstance(frame, TracebackType) else frame.f_lineno
    code = (frame.tb_frame if isinstance(frame, TracebackType) else frame).f_code
    return inspect.Traceback(code.co_filename, line, code.co_name, None, None)


if __name__ == "__main__":
    main()
