"""pyinfra as the process of a run: ``python -P -m sopslab.run.start INVENTORY DEPLOY …``.

gevent and pyinfra ask some thirty times which plugins are installed, and each time Python would
read the metadata of every installed package, which takes a fifth of the time of their import. Here
the metadata is read once. For each operation, pyinfra asks for the numbers of the lines from which
it is called, and Python would read each line, too: a fourteenth of a run's own time. paramiko,
which pyinfra imports but labs and rooms do not use, is made to believe that invoke is not
installed: with invoke, paramiko would run the commands of an ssh_config (`Match exec`).
"""

from __future__ import annotations

import inspect
import runpy
import sys
from importlib import metadata
from types import FrameType, ModuleType, TracebackType
from typing import cast

_getframeinfo = inspect.getframeinfo


def main() -> None:
    """Run pyinfra's own command, as `python -m pyinfra` does."""
    # Reading once is enough, because nothing is installed during a run.
    metadata.entry_points = metadata.entry_points().select
    inspect.getframeinfo = _without_source
    # With None here, Python reports that the module is not installed.
    sys.modules["invoke"] = cast(ModuleType, None)
    runpy.run_module("pyinfra", run_name="__main__", alter_sys=True)


def _without_source(frame: FrameType | TracebackType, context: int = 0) -> inspect.Traceback:
    """Do the same as `inspect.getframeinfo`, as if it were asked for no lines of source."""
    return _getframeinfo(frame, 0)


if __name__ == "__main__":
    main()
