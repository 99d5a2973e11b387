"""Every check of the project, in the order in which they fail fastest. CI runs `--all`.

python -m tests.check [--all]
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from sopslab.inputs import local_settings

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent

Check = tuple[str, list[str]]


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this environment."""
    return [sys.executable, "-m", module, *arguments]


def shell_scripts() -> list[str]:
    """Return the tracked shell scripts; templates among them are checked once they are rendered."""
    listing = subprocess.run(
        ["git", "ls-files", "*.sh", ".ci/run"], cwd=PROJECT, capture_output=True, text=True
    )
    return listing.stdout.split()


STYLE: list[Check] = [
    ("style", python("ruff", "check", "--quiet", ".")),
    ("format", python("ruff", "format", "--quiet", "--check", ".")),
    ("types", python("mypy")),
]
# Real tools take part in the unit tests, so the store comes first.
TOOLS: list[Check] = [("tools", [str(BIN / "sopslab"), "fill"])]
QUICK: list[Check] = [
    ("unit tests and deploys", python("pytest", "-q", "tests/unit", "tests/deploy"))
]
REAL: list[Check] = [
    ("artifacts", python("pytest", "-q", "tests/artifacts")),
    ("cluster", python("pytest", "-q", "tests/cluster")),
]


def main() -> int:
    """Run the checks and return 0 if all passed; the first that fails ends the run."""
    checks = STYLE + TOOLS + QUICK + (REAL if "--all" in sys.argv[1:] else [])
    environment = {
        **os.environ,
        "SOPSLAB_TOOLS": f"{local_settings().bin_dir}:{BIN}",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    for title, command in checks:
        print(f"── {title}", flush=True)
        started = time.monotonic()
        done = subprocess.run(command, cwd=PROJECT, env=environment, check=False)
        print(f"── {title}: exit {done.returncode}, {time.monotonic() - started:.0f} s", flush=True)
        if done.returncode != 0:
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
