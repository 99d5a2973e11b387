"""The compiled modules of the Python programs that checks start."""

from __future__ import annotations

import os

from sopslab.layout import PROJECT


def keep() -> None:
    """Have Python keep the compiled modules of the programs that this process starts.

    As on a user's machine, only the first run of a program compiles. The modules are kept apart, so
    that the checkout stays as it is.
    """
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = str(PROJECT / "build" / "bytecode")
