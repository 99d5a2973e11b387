"""Every check of the project, in the order in which they fail fastest.

python -m tests.check quick|all|soak

`quick` needs no Docker, `all` is what CI runs, `soak` are the long tails that `all` leaves out.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from sopslab.inputs import local_settings
from tests import durations

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
WORKERS = "2"

Check = tuple[str, list[str]]


def python(module: str, *arguments: str) -> list[str]:
    """Return the command that runs a module of this environment."""
    return [sys.executable, "-m", module, *arguments]


def tests(title: str, *arguments: str) -> Check:
    """Return the check that runs pytest, which leaves its durations behind under the title."""
    record = durations.FOLDER / f"{title.replace(' ', '-')}.xml"
    return title, python("pytest", "-q", f"--junitxml={record}", *arguments)


def side_by_side(title: str, whole: str, *arguments: str) -> Check:
    """Return the check that runs pytest in several processes, of which each takes a whole `file`,
    or a whole `group` of tests of one lab.
    """
    return tests(title, "--numprocesses", WORKERS, "--dist", f"load{whole}", *arguments)


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
QUICK: list[Check] = [side_by_side("unit tests and deploys", "file", "tests/unit", "tests/deploy")]
REAL: list[Check] = [
    tests("artifacts", "tests/artifacts"),
    side_by_side("cluster", "group", "-m", "not soak and not exclusive", "tests/cluster"),
    tests("cluster alone", "-m", "exclusive and not soak", "tests/cluster"),
]
SOAK: list[Check] = [side_by_side("soak", "group", "-m", "soak", "tests/cluster")]

SETS = {
    "quick": STYLE + TOOLS + QUICK,
    "all": STYLE + TOOLS + QUICK + REAL,
    "soak": TOOLS + SOAK,
}


def report() -> None:
    """Print where the time went."""
    print("── slowest tests")
    for seconds, test in durations.slowest_tests(10):
        print(f"{seconds:7.1f} s  {test}")
    print("── verbs run by tests")
    for seconds, runs, verb in durations.verbs():
        print(f"{seconds:7.1f} s  {runs:4} × sopslab {verb}")


def main() -> int:
    """Run the checks of a set and return 0 if all passed; the first that fails ends the run."""
    if len(sys.argv) != 2 or sys.argv[1] not in SETS:
        print(__doc__, file=sys.stderr)
        return 2
    provide(PACKAGES)
    shutil.rmtree(durations.FOLDER, ignore_errors=True)
    environment = {
        **{key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"},
        "SOPSLAB_TOOLS": f"{local_settings().bin_dir}:{BIN}",
        # Beside the checkout, which stays as it is; hundreds of our own processes are started.
        "PYTHONPYCACHEPREFIX": str(PROJECT / "build" / "bytecode"),
    }
    failed = False
    for title, command in SETS[sys.argv[1]]:
        print(f"── {title}", flush=True)
        started = time.monotonic()
        done = subprocess.run(command, cwd=PROJECT, env=environment, check=False)
        print(f"── {title}: exit {done.returncode}, {time.monotonic() - started:.0f} s", flush=True)
        if done.returncode != 0:
            failed = True
            break
    report()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
