"""pyinfra as the process of a run: ``python -P -m sopslab.run.start INVENTORY DEPLOY …``.

gevent and pyinfra ask some thirty times which plugins are installed, and each time the metadata of
every installed package would be read: a fifth of what it takes to import them. Here it is read
once. And paramiko does without invoke, if that is not installed: it would run what an ssh_config
says to find out which part of it counts. Labs and rooms are reached without paramiko, which
pyinfra imports nevertheless.
"""

from __future__ import annotations

import runpy
import sys
from importlib import metadata
from types import ModuleType
from typing import cast


def main() -> None:
    """Run pyinfra's own command, as `python -m pyinfra` does."""
    # Nothing is installed while a run goes on.
    metadata.entry_points = metadata.entry_points().select
    # What Python takes for a module that is not installed.
    sys.modules["invoke"] = cast(ModuleType, None)
    runpy.run_module("pyinfra", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
