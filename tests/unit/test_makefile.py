"""What make says before it has anything to run with, and what it installs for what."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sopslab.layout import PROJECT
from tests.texts import write_program


@pytest.mark.parametrize("what", ["lab", "check"])
def test_a_python_that_will_not_do_is_told_before_anything_is_made(
    what: str, tmp_path: Path
) -> None:
    python = write_program(tmp_path / "python3", "#!/bin/sh\nexit 1\n")
    done = subprocess.run(
        ["make", what, f"PYTHON={python}", f"VENV={tmp_path}/venv"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    (sentence,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert str(python) in sentence and "PYTHON=" in sentence
    assert not (tmp_path / "venv").exists()


@pytest.mark.parametrize(
    ("version", "fits"), [((3, 10, 12), False), ((3, 11, 0), True), ((3, 13, 5), True)]
)
def test_python_is_asked_for_its_version_and_for_venv(
    version: tuple[int, ...], fits: bool, tmp_path: Path
) -> None:
    """The condition that make passes to PYTHON is evaluated as by a Python of that version."""
    python = write_program(
        tmp_path / "python3", '#!/bin/sh\n[ "$1" = -c ] && printf %s "$2" >"$0.asked"\nexit 1\n'
    )
    subprocess.run(
        ["make", "lab", f"PYTHON={python}", f"VENV={tmp_path}/venv"],
        cwd=PROJECT, capture_output=True, check=False,
    )  # fmt: skip
    asked = Path(f"{python}.asked").read_text()
    pretending = f"import sys; sys.version_info = {version}; {asked}"
    done = subprocess.run([sys.executable, "-c", pretending], check=False)
    assert (done.returncode == 0) is fits


@pytest.mark.parametrize(
    ("what", "files"),
    [
        ("lab", {"requirements.txt", "requirements-build.txt"}),
        ("down", {"requirements.txt", "requirements-build.txt"}),
        ("test", {"requirements.txt", "requirements-build.txt", "requirements-dev.txt"}),
    ],
)
def test_a_lab_is_made_without_what_only_developers_need(
    what: str, files: set[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        ["make", "--dry-run", what, f"VENV={tmp_path}/venv"],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert set(re.findall(r"\S+\.txt", done.stdout)) == files


def test_what_has_been_installed_is_not_installed_again(tmp_path: Path) -> None:
    told = ["make", "--dry-run", "test", f"VENV={tmp_path}/venv"]
    for stamp, left in ((".runtime", {"requirements-dev.txt"}), (".requirements", set())):
        (tmp_path / "venv").mkdir(exist_ok=True)
        (tmp_path / "venv" / stamp).touch()
        done = subprocess.run(told, cwd=PROJECT, capture_output=True, text=True, check=True)
        assert set(re.findall(r"\S+\.txt", done.stdout)) == left


def test_the_environment_is_in_the_folder_that_is_named_for_it(tmp_path: Path) -> None:
    """As in the devcontainer, whose ci/lab.sh asks for the stamp in that folder."""
    venv = tmp_path / "venv"
    done = subprocess.run(
        ["make", "--dry-run", f"{venv}/.runtime", "lab"],
        cwd=PROJECT, env={**os.environ, "SOPSLAB_VENV": str(venv)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"-m venv {venv}\n" in done.stdout
    assert f"{venv}/bin/sopslab up" in done.stdout
