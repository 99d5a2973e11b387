"""Every check of the project, in the order in which they fail fastest.

python -m tests.check quick|all|soak|clusters

`quick` makes no lab, `all` is what CI runs, `soak` are the long tails that `all` leaves out, and
`clusters` those on clusters of several nodes that exist already.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from sopslab.config.inputs import local_settings
from tests import bytecode, durations

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
_PREFIX = os.environ.get("SOPSLAB_TEST_PREFIX", "lab")


class Command(NamedTuple):
    """A command, and what it adds to the environment."""

    title: str
    arguments: list[str]
    environment: Mapping[str, str] = {}


# Commands that run side by side. If there are more than `AT_WORK`, they begin in this order.
Check = list[Command]
# A test waits for a part of its time, an idle lab takes a ninth of a core, and a browser less: so
# this may be more than the number of cores.
AT_WORK = 5


def python(title: str, module: str, *arguments: str) -> Command:
    """Return the command that runs a module of this Python environment."""
    return Command(title, [sys.executable, "-m", module, *arguments])


def program(title: str, name: str, *arguments: str) -> Command:
    """Return the command that runs a program of this Python environment."""
    return Command(title, [str(BIN / name), *arguments])


def tests(title: str, *arguments: str) -> Command:
    """Return the command that runs pytest, and leaves the durations in a file with its title."""
    record = durations.FOLDER / f"{title.replace(' ', '-')}.xml"
    return python(title, "pytest", "-q", f"--junitxml={record}", *arguments)


def units(title: str, marks: str) -> Command:
    """Return the command that runs the tests without Docker that have these marks. It has three
    workers, because on two cores, two workers leave a quarter of the time unused while they wait.
    """
    three = ("--numprocesses=3", "--dist=loadfile")
    return tests(title, *three, "-m", marks, "tests/unit", "tests/deploy")


def browser(title: str, marks: str) -> Command:
    """Return the command that runs the tests in a browser that have these marks."""
    return tests(title, "-m", marks, "tests/browser")


def labs(title: str, marks: str) -> Command:
    """Return the command that runs the tests with Docker that have these marks. The names of its
    labs contain the last word of the title, so that other commands can run beside it."""
    prefix = f"{_PREFIX}-{title.split()[-1]}"
    command = tests(title, "-m", marks, "tests/artifacts", "tests/cluster")
    return command._replace(environment={"SOPSLAB_TEST_PREFIX": prefix})


def is_there(needed: str) -> bool:
    """Return whether a command, a library (`lib….so.N`) or a file is on this machine."""
    if "/" in needed:
        return Path(needed).exists()
    if ".so." not in needed:
        return shutil.which(needed) is not None
    try:
        ctypes.CDLL(needed)
    except OSError:
        return False
    return True


def provide(packages: dict[str, str]) -> None:
    """Install the missing Debian packages that only the tests need, as the lab installs its own."""
    missing = sorted({package for needed, package in packages.items() if not is_there(needed)})
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


# Command, library or file, and the Debian package that has it.
PACKAGES = {
    # Among these are shells and awks, with which the scripts of a learner's repository are run, and
    # jq, with which stand-ins in shell read JSON.
    "busybox": "busybox",
    "chromium": "chromium",
    "curl": "curl",
    "faketime": "faketime",
    "jq": "jq",
    "mksh": "mksh",
    "original-awk": "original-awk",
    "zsh": "zsh",
    "ip": "iproute2",
    "nft": "nftables",
    "node": "nodejs",
    "openssl": "openssl",
    "/usr/sbin/sshd": "openssh-server",
    # For cards as PDF: what makes them, what reads them again, and fonts for names, which Chromium
    # uses, too.
    "libharfbuzz-subset.so.0": "libharfbuzz-subset0",
    "libpango-1.0.so.0": "libpango-1.0-0",
    "libpangoft2-1.0.so.0": "libpangoft2-1.0-0",
    "pdftotext": "poppler-utils",
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf": "fonts-dejavu-core",
    "/usr/share/fonts/truetype/lohit-devanagari/Lohit-Devanagari.ttf": "fonts-lohit-deva",
    "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf": "fonts-droid-fallback",
}
SHELL = ("artifacts", "ci", "templates/git/hooks", "tests/bench")
STYLE: list[Check] = [
    [python("style", "ruff", "check", "--quiet", ".")],
    [python("format", "ruff", "format", "--quiet", "--check", ".")],
    [program("shell", "shfmt", "--diff", *SHELL)],
    [program("spelling", "typos")],
]
# Unit tests use real tools, so the store is filled first.
TOOLS: list[Check] = [[python("tools", "sopslab", "fetch", "--install-docker")]]
# Commands that take minutes, but one processor at most, run beside the unit tests.
UNITS: Check = [units("unit", "not soak"), python("types", "mypy")]
BROWSER: Check = [browser("browser", "not soak")]
REAL: Check = [
    labs("real class", "not soak and in_class"),
    labs("real others", "not soak and not in_class"),
]


_TAILS = "soak and not (hand_made or campaign or machines or exclusive)"


# The longest first.
TAILS: Check = [
    labs("soak lab", f"{_TAILS} and not (in_class or on_own)"),
    labs("soak own", f"{_TAILS} and on_own"),
    labs("soak class", f"{_TAILS} and in_class"),
    # Both take half an hour, however fast the machine is.
    labs("soak campaign", "campaign"),
    browser("soak browser", "soak"),
    labs("soak machines", "machines"),
    # All mutants would take hours. Eight of each part are enough to say whether nine of ten are
    # noticed, with the processor time that the labs leave.
    Command("mutants", ["nice", "-n", "19", sys.executable, "-m", "tests.mutation", "--most=8"]),
]
SOAK: list[Check] = [
    [units("soak unit", "soak")],
    TAILS,
    [labs("soak exclusive", "exclusive and not hand_made")],
]
CLUSTERS: list[Check] = [
    [
        labs("clusters class", "hand_made and in_class and not exclusive"),
        labs("clusters others", "hand_made and not in_class"),
    ],
    [labs("clusters exclusive", "hand_made and exclusive")],
]

SETS = {
    "quick": [*STYLE, *TOOLS, UNITS],
    "all": [*STYLE, *TOOLS, UNITS + BROWSER, REAL],
    "soak": TOOLS + SOAK,
    "clusters": TOOLS + CLUSTERS,
}
# These sets take an hour, so they go on after a failure and report all of them at once.
TO_THE_END = {"soak", "clusters"}


def report() -> None:
    """Print where the time went."""
    print("── slowest tests")
    for seconds, test in durations.slowest_tests(10):
        print(f"{seconds:7.1f} s  {test}")
    print("── verbs run by tests")
    for seconds, runs, verb in durations.verbs():
        print(f"{seconds:7.1f} s  {runs:4} × sopslab {verb}")


def execute(command: Command, environment: Mapping[str, str], shown: bool) -> int:
    """Run a command and return its exit code.

    + shown: whether its output is shown as it comes, and not only after its end
    """
    started = time.monotonic()
    done = subprocess.run(
        command.arguments,
        cwd=PROJECT,
        env={**environment, **command.environment},
        stdout=None if shown else subprocess.PIPE,
        stderr=None if shown else subprocess.STDOUT,
        check=False,
    )
    seconds = time.monotonic() - started
    words = (done.stdout or b"").decode(errors="replace")
    # In one write, because other commands print meanwhile, and with a line feed before it, because
    # their line may not be complete.
    print(
        f"{'' if shown else chr(10)}{words}── {command.title}: exit {done.returncode},"
        f" {seconds:.0f} s",
        flush=True,
    )
    return done.returncode


def run(check: Check, environment: Mapping[str, str]) -> int:
    """Run the commands of a check, at most `AT_WORK` side by side, and return the first exit code
    that is not 0.

    The output of the first one is shown as it comes, that of each other one after its end.
    """
    print(f"── {', '.join(command.title for command in check)}", flush=True)
    with ThreadPoolExecutor(AT_WORK) as pool:
        running = [
            pool.submit(execute, command, environment, command is check[0]) for command in check
        ]
        return next(filter(None, [one.result() for one in running]), 0)


def main() -> int:
    """Run the checks of a set and return 0 if all passed.

    The first check that fails ends the run, unless the set is in `TO_THE_END`.
    """
    if len(sys.argv) != 2 or sys.argv[1] not in SETS:
        print(__doc__, file=sys.stderr)
        return 2
    provide(PACKAGES)
    shutil.rmtree(durations.FOLDER, ignore_errors=True)
    bytecode.keep()
    environment = {**os.environ, "SOPSLAB_TOOLS": f"{local_settings().bin_dir}:{BIN}"}
    failed = False
    for check in SETS[sys.argv[1]]:
        failed |= run(check, environment) != 0
        if failed and sys.argv[1] not in TO_THE_END:
            break
    report()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
