"""Every check of the project, in the order in which they fail fastest.

python -m tests.check quick|all|soak|clusters

`quick` needs no Docker, `all` is what CI runs, `soak` are the long tails that `all` leaves out, and
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
from tests import durations

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
_PREFIX = os.environ.get("SOPSLAB_TEST_PREFIX", "lab")


class Command(NamedTuple):
    """A command, and what it adds to the environment."""

    title: str
    arguments: list[str]
    environment: Mapping[str, str] = {}


# Commands that run side by side, in this order if they are more than can be at work.
Check = list[Command]
# A test waits for a part of its time, and an idle lab costs a ninth of a core.
AT_WORK = 4


def python(title: str, module: str, *arguments: str) -> Command:
    """Return the command that runs a module of this environment."""
    return Command(title, [sys.executable, "-m", module, *arguments])


def program(title: str, name: str, *arguments: str) -> Command:
    """Return the command that runs a program of this environment."""
    return Command(title, [str(BIN / name), *arguments])


def tests(title: str, *arguments: str) -> Command:
    """Return the command that runs pytest, which leaves its durations behind under the title."""
    record = durations.FOLDER / f"{title.replace(' ', '-')}.xml"
    return python(title, "pytest", "-q", f"--junitxml={record}", *arguments)


def units(title: str, marks: str) -> Command:
    """Return the command that runs the tests without Docker that have these marks, in three
    workers: on two cores, two of them leave a quarter of the time unused while they wait."""
    three = ("--numprocesses=3", "--dist=loadfile")
    return tests(title, *three, "-m", marks, "tests/unit", "tests/deploy")


def browser(title: str, marks: str) -> Command:
    """Return the command that runs the tests in a browser that have these marks."""
    return tests(title, "-m", marks, "tests/browser")


def labs(title: str, marks: str) -> Command:
    """Return the command that runs the tests with Docker that have these marks; by its title's last
    word its labs have names of their own, so others may be at work beside it."""
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
    """Install what only the tests need from the distribution, as the lab installs what it needs."""
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
    # The scripts of a learner's repository run under these, with these awks; stand-ins in shell
    # read JSON.
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
    # Cards as PDF: what makes them, what reads them back, and fonts for names, also in Chromium.
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
# Real tools take part in the unit tests, so the store comes first.
TOOLS: list[Check] = [[python("tools", "sopslab", "fetch", "--install-docker")]]
# What takes minutes and needs one processor at most goes on beside the unit tests.
UNITS: Check = [units("unit", "not soak"), python("types", "mypy")]
BROWSER: Check = [browser("browser", "not soak")]
REAL: Check = [
    labs("real class", "not soak and in_class"),
    labs("real others", "not soak and not in_class"),
]


_TAILS = "soak and not (hand_made or campaign or machines or exclusive)"


def tails() -> Check:
    """Return the check that is the long tails, the longest first.

    All mutants would be hours: of each part, as many as say whether nine of ten are noticed. They
    take what the labs leave of the processors.
    """
    mutants = python("mutants", "tests.mutation", "--most=12")
    return [
        labs("soak lab", f"{_TAILS} and not (in_class or on_own)"),
        labs("soak own", f"{_TAILS} and on_own"),
        labs("soak class", f"{_TAILS} and in_class"),
        mutants._replace(arguments=["nice", "-n", "19", *mutants.arguments]),
        labs("soak campaign", "campaign"),
        labs("soak machines", "machines"),
        browser("soak browser", "soak"),
    ]


SOAK: list[Check] = [
    [units("soak unit", "soak")],
    tails(),
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
# What takes an hour tells all that it finds at once.
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
    """Run a command and return its exit code; its words are shown at once, or when it has ended."""
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
    # One write, since others are at work: it begins in the middle of a line of theirs.
    print(
        f"{'' if shown else chr(10)}{words}── {command.title}: exit {done.returncode},"
        f" {seconds:.0f} s",
        flush=True,
    )
    return done.returncode


def run(check: Check, environment: Mapping[str, str]) -> int:
    """Run the commands of a check, at most `AT_WORK` side by side, and return the first exit code
    that is not 0.

    The words of the first are shown at once, those of the others when each has ended.
    """
    print(f"── {', '.join(command.title for command in check)}", flush=True)
    with ThreadPoolExecutor(AT_WORK) as pool:
        running = [
            pool.submit(execute, command, environment, command is check[0]) for command in check
        ]
        return next(filter(None, [one.result() for one in running]), 0)


def main() -> int:
    """Run the checks of a set and return 0 if all passed.

    The first that fails ends the run, but for those of `TO_THE_END`.
    """
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
    for check in SETS[sys.argv[1]]:
        failed |= run(check, environment) != 0
        if failed and sys.argv[1] not in TO_THE_END:
            break
    report()
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
