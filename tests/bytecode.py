"""The compiled modules of the Python programs that checks start."""

from __future__ import annotations

import os

from sopslab.layout import PROJECT


def keeping() -> dict[str, str]:
    """Return this process's environment, with one change: Python keeps compiled modules.

    As on a user's machine, only the first run of a program compiles. The modules are kept apart, so
    that the checkout stays as it is.
    """
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(PROJECT / "build" / "bytecode")}
