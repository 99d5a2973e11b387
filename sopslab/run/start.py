"""pyinfra as the process of a run: ``python -P -m sopslab.run.start INVENTORY DEPLOY …``.

gevent and pyinfra ask some thirty times which plugins are installed, and each time Python would
read the metadata of every installed package: a fifth of the time that importing them takes. Here it
is read once. paramiko, which pyinfra imports but labs and rooms do not use, is told that invoke is
not installed: with it, paramiko would run commands of an ssh_config (`Match exec`).
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
    # Python takes this for a module that is not installed.
    sys.modules["invoke"] = cast(ModuleType, None)
    runpy.run_module("pyinfra", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
