"""Every check of the project, in the order in which they fail fastest.

python -m tests.check quick|all|soak

`quick` needs no Docker, `all` is what CI runs, `soak` are the long tails that `all` leaves out.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from sopslab.config.inputs import local_settings
from tests import durations

PROJECT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
_PREFIX = os.environ.get("SOPSLAB_TEST_PREFIX", "lab")

# A title, and commands that run side by side, each with what it adds to the environment.
Check = tuple[str, list[tuple[list[str], dict[str, str]]]]


def python(title: str, module: str, *arguments: str) -> Check:
    """Return the check that runs a module of this environment."""
    return title, [([sys.executable, "-m", module, *arguments], {})]


def program(title: str, name: str, *arguments: str) -> Check:
    """Return the check that runs a program of this environment."""
    return title, [([str(BIN / name), *arguments], {})]


def tests(title: str, *arguments: str) -> Check:
    """Return the check that runs pytest, which leaves its durations behind under the title."""
    record = durations.FOLDER / f"{title.replace(' ', '-')}.xml"
    return python(title, "pytest", "-q", f"--junitxml={record}", *arguments)


def units(title: str, marks: str) -> Check:
    """Return the check that runs the tests without Docker that have these marks."""
    two = ("--numprocesses=2", "--dist=loadfile")
    return tests(title, *two, "-m", marks, "tests/unit", "tests/deploy")


def browser(title: str, marks: str) -> Check:
    """Return the check that runs the tests in a browser that have these marks."""
    return tests(title, "-m", marks, "tests/browser")


def real(title: str, marks: str, first: str) -> Check:
    """Return the check that runs the tests with Docker that have these marks, in halves: two are
    at work at a time, since an idle lab costs a seventh of two cores.

    + first: the marks of the first half, which has all of those on the class
    """
    halves = (
        ("class", f"({first}) and {marks}", ["tests/cluster"]),
        ("others", f"not ({first}) and {marks}", ["tests/artifacts", "tests/cluster"]),
    )
    commands = []
    for half, expression, folders in halves:
        ((command, _),) = tests(f"{title} {half}", "-m", expression, *folders)[1]
        commands.append((command, {"SOPSLAB_TEST_PREFIX": f"{_PREFIX}-{half}"}))
    return title, commands


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
    python("style", "ruff", "check", "--quiet", "."),
    python("format", "ruff", "format", "--quiet", "--check", "."),
    program("shell", "shfmt", "--diff", *SHELL),
    program("spelling", "typos"),
    python("types", "mypy"),
]
# Real tools take part in the unit tests, so the store comes first.
TOOLS: list[Check] = [python("tools", "sopslab", "fetch", "--install-docker")]
QUICK: list[Check] = [units("unit", "not soak")]
BROWSER: list[Check] = [browser("browser", "not soak")]
REAL: list[Check] = [real("real", "not soak", "in_class")]


def alone() -> Check:
    """Return the check that runs what needs the machine's labs for itself; mutants and the browser,
    which are no labs, take what it leaves of the processors, since it goes on for half an hour in
    any case.

    All mutants would be hours: of each part, as many as say whether nine of ten are noticed.
    """
    title, commands = tests("soak alone", "-m", "soak and exclusive", "tests/cluster")
    ((mutants, _),) = python("mutants", "tests.mutation", "--most=40")[1]
    ((page, _),) = browser("soak browser", "soak")[1]
    return title, [*commands, (["nice", "-n", "19", *mutants], {}), (page, {})]


SOAK: list[Check] = [
    units("soak unit", "soak"),
    real("soak", "soak and not exclusive", "in_class or on_own"),
    alone(),
]

SETS = {
    "quick": STYLE + TOOLS + QUICK,
    "all": STYLE + TOOLS + QUICK + BROWSER + REAL,
    "soak": TOOLS + SOAK,
}
# What takes an hour tells all that it finds at once.
TO_THE_END = {"soak"}


def report() -> None:
    """Print where the time went."""
    print("── slowest tests")
    for seconds, test in durations.slowest_tests(10):
        print(f"{seconds:7.1f} s  {test}")
    print("── verbs run by tests")
    for seconds, runs, verb in durations.verbs():
        print(f"{seconds:7.1f} s  {runs:4} × sopslab {verb}")


def run(check: Check, environment: dict[str, str]) -> int:
    """Run the commands of a check side by side and return the first exit code that is not 0.

    The words of the first are shown at once, those of the others when it has ended.
    """
    title, commands = check
    print(f"── {title}", flush=True)
    started = time.monotonic()
    with ExitStack() as stack:
        outputs = [stack.enter_context(tempfile.TemporaryFile()) for _ in commands[1:]]
        processes = [
            subprocess.Popen(
                command, cwd=PROJECT, env=environment | more, stdout=output, stderr=output
            )
            for (command, more), output in zip(commands, [None, *outputs], strict=True)
        ]
        codes = [process.wait() for process in processes]
        for output in outputs:
            output.seek(0)
            sys.stdout.buffer.write(output.read())
    code = next(filter(None, codes), 0)
    print(f"── {title}: exit {code}, {time.monotonic() - started:.0f} s", flush=True)
    return code


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
