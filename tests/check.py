"""Every check of the project, in the order in which they fail fastest. CI runs `--all`.

python -m tests.check [--all]
"""

from __future__ import annotations

import os
import shutil
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


def provide(packages: dict[str, str]) -> None:
    """Install what only the tests need from the distribution, as the lab installs what it needs."""
    missing = sorted(
        {package for command, package in packages.items() if not shutil.which(command)}
    )
    if not missing:
        return
    root = [] if os.geteuid() == 0 else ["sudo"]
    print(f"── installing {', '.join(missing)}", flush=True)
    subprocess.run([*root, "apt-get", "update", "-qq"], check=True)
    subprocess.run(
        [*root, "apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing],
        check=True,
        stdout=subprocess.DEVNULL,
    )


# Command and the Debian package that has it.
PACKAGES = {"ip": "iproute2", "openssl": "openssl", "shellcheck": "shellcheck"}
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
    provide(PACKAGES)
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
