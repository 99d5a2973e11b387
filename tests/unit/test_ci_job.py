"""The lab of a CI job: its name, its address, and how long it may last."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from sopslab.config.inputs import CHOOSING, CI, INVENTORY, local_settings
from sopslab.config.job import job_name
from sopslab.config.naming import check_label
from sopslab.config.settings import load_settings
from sopslab.errors import InputError
from sopslab.layout import PROJECT
from tests.unit.test_inputs import seen_by_pyinfra

GITHUB = {
    "GITHUB_ACTIONS": "true", "GITHUB_REPOSITORY": "ada/lab", "GITHUB_RUN_ID": "7123456789",
    "GITHUB_RUN_ATTEMPT": "1", "GITHUB_JOB": "end-to-end", "RUNNER_NAME": "runner-1",
}  # fmt: skip
GITLAB = {
    "GITLAB_CI": "true", "CI_SERVER_URL": "https://git.example", "CI_JOB_ID": "4711",
    "CI_JOB_NAME": "lab: [Debian 13]",
}  # fmt: skip
WOODPECKER = {
    "CI_SYSTEM_NAME": "woodpecker", "CI_SYSTEM_URL": "https://ci.example", "CI_REPO": "ada/lab",
    "CI_PIPELINE_NUMBER": "12", "CI_WORKFLOW_NUMBER": "2", "CI_WORKFLOW_NAME": "lab",
}  # fmt: skip


@pytest.fixture(autouse=True)
def job(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The environment of a job on GitHub, whatever job this test runs in."""
    for name in (*CHOOSING, *GITLAB, *WOODPECKER):
        monkeypatch.delenv(name, raising=False)
    for name, value in GITHUB.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path / "root"))


@pytest.mark.parametrize(
    ("environment", "begins"),
    [(GITHUB, "ci-end-to-end-"), (GITLAB, "ci-lab-debian-13-"), (WOODPECKER, "ci-lab-")],
)
def test_a_job_can_be_recognised_by_the_name_of_its_lab(
    environment: Mapping[str, str], begins: str
) -> None:
    name = job_name(environment)
    assert name.startswith(begins)
    assert job_name({**environment, "CI_STEP_NAME": "another", "GITHUB_ACTION": "two"}) == name


@pytest.mark.parametrize(
    ("environment", "variable"),
    [
        (GITHUB, "GITHUB_REPOSITORY"),
        (GITHUB, "GITHUB_RUN_ID"),
        (GITHUB, "GITHUB_RUN_ATTEMPT"),
        (GITHUB, "GITHUB_JOB"),
        # Legs of a matrix differ only in this.
        (GITHUB, "RUNNER_NAME"),
        (GITLAB, "CI_SERVER_URL"),
        (GITLAB, "CI_JOB_ID"),
        (WOODPECKER, "CI_REPO"),
        (WOODPECKER, "CI_PIPELINE_NUMBER"),
        (WOODPECKER, "CI_WORKFLOW_NUMBER"),
    ],
)
def test_two_jobs_have_two_labs(environment: Mapping[str, str], variable: str) -> None:
    assert job_name({**environment, variable: "other"}) != job_name(environment)


@pytest.mark.parametrize("title", ["", "x" * 200, "Übung №5", "$(id)", "-", "a/b\n..", "kube-"])
def test_whatever_a_job_is_called_its_lab_has_a_name_that_is_allowed(title: str) -> None:
    name = job_name({**GITHUB, "GITHUB_JOB": title})
    assert check_label(name) == name
    assert len(name) <= 30


@pytest.mark.parametrize("environment", [{}, {"CI": "true"}, {"GITHUB_ACTIONS": "false"}])
def test_outside_of_ci_a_name_is_asked_for(environment: Mapping[str, str]) -> None:
    with pytest.raises(InputError, match="SOPSLAB_LAB"):
        job_name(environment)


def test_outside_of_ci_pyinfra_says_so_in_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GITHUB_ACTIONS")
    done = subprocess.run(
        [sys.executable, "-m", "pyinfra", CI, "debug-inventory"],
        cwd=PROJECT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "name the lab yourself, with SOPSLAB_LAB" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_the_lab_of_a_job_has_its_name_a_port_that_is_free_and_a_lease() -> None:
    settings = local_settings(inventory=CI)
    assert (settings.lab, settings.lease) == (job_name(GITHUB), 6)
    with socket.create_server(("127.0.0.1", settings.git_port)):
        assert local_settings(inventory=CI).git_port != settings.git_port


@pytest.mark.parametrize("root_in_file", [False, True])
def test_once_it_is_made_its_port_is_the_one_that_it_has(
    root_in_file: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if root_in_file:
        (tmp_path / "lab.yaml").write_text(f"root: {tmp_path}/elsewhere\n")
        monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "lab.yaml"))
    settings = local_settings(inventory=CI)
    Path(settings.lab_dir).mkdir(parents=True)
    lease = {"hours": 6, "until": "2026-01-01T00:00:00+00:00", "git_port": 40123}
    Path(settings.lease_file).write_text(json.dumps(lease))
    settings = local_settings(inventory=CI)
    assert settings.git_port == 40123
    assert settings == load_settings(seen_by_pyinfra(CI))


@pytest.mark.parametrize(
    "damage",
    ["", "{}", "[]", '{"hours": 6, "until": "soon", "git_port": 1}',
     '{"hours": 6, "until": "2026-01-01T00:00:00", "git_port": 1}'],
)  # fmt: skip
def test_a_damaged_lease_is_no_lease_that_ends(damage: str) -> None:
    settings = local_settings(inventory=CI)
    Path(settings.lab_dir).mkdir(parents=True)
    Path(settings.lease_file).write_text(damage)
    with pytest.raises(InputError, match="is damaged"):
        local_settings(inventory=CI)


def test_a_file_of_the_job_is_nearer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lab.yaml").write_text("lab: demo\ngit_port: 40001\nlease: 2\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(tmp_path / "lab.yaml"))
    settings = local_settings(inventory=CI)
    assert (settings.lab, settings.git_port, settings.lease) == ("demo", 40001, 2)


def test_a_job_may_have_a_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "class.yaml").write_text("- {id: zoe, name: Zoë}\n")
    monkeypatch.setenv("SOPSLAB_ROSTER", str(tmp_path / "class.yaml"))
    assert [seat.id for seat in local_settings(inventory=CI).seats] == ["zoe"]


def test_the_inventory_of_the_environment_is_that_of_every_verb(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(INVENTORY, CI)
    assert local_settings().lab == job_name(os.environ)
    monkeypatch.setenv(INVENTORY, "inventories/other.py")
    with pytest.raises(InputError, match=r"inventories/other\.py is not an inventory"):
        local_settings()
