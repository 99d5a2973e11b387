"""The product as a package: the build is complete, and it works without the checkout."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sopslab.layout import PROJECT
from tests.cluster.lab import as_root, run
from tests.conftest import find_tool
from tests.package import build, constraints, tracked

SHIPPED = (
    *("artifacts", "deploy.py", "deploys", "flux", "group_data", "inventories", "tasks"),
    *("requirements.txt", "templates"),
)
BYTE_CODE = {"PYTHONDONTWRITEBYTECODE", "PYTHONPYCACHEPREFIX"}
# For this command only, an empty file system hides the checkout.
WITHOUT_CHECKOUT = 'mount -t tmpfs none "$1"; cd "$2"; shift 2; exec "$@"'
# Python and the tools may be in root's home: this user may read everything, but write nothing of
# root's.
NOBODY = (
    *("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"),
    *("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"),
)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, beside the source distribution that it was built from."""
    return build(tmp_path_factory.mktemp("built"))


@dataclass(frozen=True)
class Installed:
    """The wheel in an environment of its own, in a folder that every user may read."""

    folder: Path

    @property
    def environment(self) -> Path:
        return self.folder / "environment"

    @property
    def packages(self) -> Path:
        """The folder into which Python has installed the packages."""
        (found,) = self.environment.glob("lib/python*/site-packages")
        return found

    def sopslab(
        self, *arguments: str, user: Sequence[str] = (), stdin: str = "", **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the command without the checkout, in an empty folder, as root or as another user."""
        home = Path(tempfile.mkdtemp(dir=self.folder))
        home.chmod(0o777)
        program = str(self.environment / "bin" / "sopslab")
        apart = ["unshare", "--mount", "sh", "-euc", WITHOUT_CHECKOUT, "sh", str(PROJECT)]
        own = [f"{name}={value}" for name, value in {"HOME": str(home), **more}.items()]
        path = f"{self.folder}/bin:/usr/bin:/bin"
        clean = ["env", "-i", f"PATH={path}", "LC_ALL=C.UTF-8", *own]
        return run(
            as_root(*apart, str(home), *clean, *user, program, *arguments), check=False, stdin=stdin
        )

    def files(self) -> dict[str, tuple[int, int]]:
        """Return all installed files, with their sizes and times of change."""
        return {
            str(path): (path.stat().st_size, path.stat().st_mtime_ns)
            for path in self.packages.rglob("*")
        }


@pytest.fixture(scope="module")
def installed(wheel: Path) -> Iterator[Installed]:
    with tempfile.TemporaryDirectory(prefix="sops-lab-package-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "bin").mkdir()
        shutil.copy(find_tool("gitleaks"), folder / "bin")
        # No engine answers: the tests make no lab.
        docker = folder / "bin" / "docker"
        docker.write_text("#!/bin/sh\nexit 1\n")
        docker.chmod(0o755)
        pins = folder / "constraints.txt"
        pins.write_text(constraints())
        found = Installed(folder)
        # pip writes byte code, unless these variables forbid it or put it elsewhere.
        plain = {name: value for name, value in os.environ.items() if name not in BYTE_CODE}
        run([sys.executable, "-m", "venv", str(found.environment)], env=plain)
        run(
            [
                str(found.environment / "bin" / "pip"), "install", "--quiet",
                "--disable-pip-version-check", f"--constraint={pins}", str(wheel),
            ],
            env=plain,
        )  # fmt: skip
        yield found


def test_the_wheel_has_every_file_and_no_other(wheel: Path) -> None:
    wanted = {
        *tracked("sopslab"),
        *(f"sopslab/project/{name}" for name in tracked(*SHIPPED)),
    }
    with zipfile.ZipFile(wheel) as archive:
        kept = {info.filename: info.external_attr >> 16 for info in archive.infolist()}
    here = {name: mode for name, mode in kept.items() if ".dist-info/" not in name}
    assert here.keys() == wanted
    for name, mode in here.items():
        source = PROJECT / name.removeprefix("sopslab/project/")
        assert bool(mode & 0o100) == os.access(source, os.X_OK), name


def test_the_source_has_its_licence_and_no_tests(wheel: Path) -> None:
    (source,) = wheel.parent.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml", "setup.py"} <= names
    assert [name for name in names if name.startswith("tests")] == []


COMMANDS = {
    "version": (["--version"], "sopslab, version "),
    "help": (["--help"], "Exit codes:"),
    "schema-roster": (["schema", "roster"], '"learners"'),
    "schema-lab": (["schema", "lab"], "The name of the lab"),
    "completion": (["completion", "bash"], "_sopslab_completion"),
    "faults": (["break", "--list"], "wrong-key"),
    "quiz": (["quiz", "--only", "1"], "Stopped after 0 of 1 questions."),
    "environment": (["env"], "export KUBECONFIG="),
    "policy": (["policy", "check", "."], "none holds a secret"),
}


@pytest.mark.parametrize("user", [(), NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_needs_no_checkout(installed: Installed, name: str, user: Sequence[str]) -> None:
    arguments, answer = COMMANDS[name]
    done = installed.sopslab(*arguments, user=user)
    assert done.returncode == 0, done.stderr
    assert answer in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("user", [(), NOBODY], ids=["root", "nobody"])
@pytest.mark.parametrize("inventory", ["inventories/local.py", "inventories/classroom.py"])
def test_up_reads_its_whole_story_and_writes_nothing_where_it_is_installed(
    installed: Installed, inventory: str, user: Sequence[str]
) -> None:
    before = installed.files()
    # The first operation refuses a port in use. By then, all other operations are prepared.
    with socket.create_server(("127.0.0.1", 0)) as taken:
        lab = installed.folder / "lab.yaml"
        lab.write_text(f"git_port: {taken.getsockname()[1]}\n")
        done = installed.sopslab("up", inventory, "--json", user=user, SOPSLAB_FILE=str(lab))
    assert done.returncode == 10, done.stderr
    answer = json.loads(done.stdout)
    assert answer["changed"] == 0
    assert any("is taken by another program" in problem for problem in answer["problems"])
    assert {"Host", "Git", "Flux", "Canary"} <= {step["name"] for step in answer["steps"]}
    assert installed.files() == before
