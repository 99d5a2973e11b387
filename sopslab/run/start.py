"""pyinfra as the process of a run: ``python -P -m sopslab.run.start INVENTORY DEPLOY …``.

gevent and pyinfra ask some thirty times which plugins are installed, and each time Python would
read the metadata of every installed package, which takes a fifth of the time of their import. Here
the metadata is read once. paramiko, which pyinfra imports but labs and rooms do not use, is made to
believe that invoke is not installed: with invoke, paramiko would run the commands of an ssh_config
(`Match exec`).
"""

from __future__ import annotations

import runpy
import sys
from importlib import metadata
from types import ModuleType
from typing import cast


def main() -> None:
    """Run pyinfra's own command, as `python -m pyinfra` does."""
    # Reading once is enough, because nothing is installed during a run.
    metadata.entry_points = metadata.entry_points().select
    # With None here, Python reports that the module is not installed.
    sys.modules["invoke"] = cast(ModuleType, None)
    runpy.run_module("pyinfra", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
