"""`pyinfra … deploy.py --dry` on a bare machine, for any user."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sopslab.layout import PROJECT

BARE = "tests/data/inventories/bare.py"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if not name.startswith("SOPSLAB_")}
    return {
        **own,
        "SOPSLAB_ROOT": str(tmp_path / "root"),
        "PYINFRA_FAKE_DELAY": "0",
        "PYINFRA_FAKE_DELAY_JITTER": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def pyinfra(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pyinfra", *arguments],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_dry_run_on_a_bare_machine_predicts_the_changes_and_touches_nothing(
    environment: dict[str, str], tmp_path: Path
) -> None:
    done = pyinfra(environment, BARE, "deploy.py", "--dry", "--json")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    plan = json.loads(done.stdout)["plan"]
    predicted = [item["name"] for item in plan if item["hosts_with_change"]]
    steps = list(dict.fromkeys(name.split(" | ")[0] for name in predicted))
    assert steps == [
        *("Host", "Format", "Artifacts", "Network", "Git", "Keys", "Learners", "Platform"),
        *("Cluster", "Flux", "Canary"),
    ]
    for name in (
        "Host | Install what is missing",
        "Host | Install Docker",
        "Host | Start Docker",
        "Network | Begin the kind cluster lab",
        "Keys | Make the identities",
        "Flux | Give Flux its Secrets",
        "Canary | Wait for Flux to decrypt lab-canary",
    ):
        assert name in predicted
    assert not any(item["hosts_with_conditional_change"] for item in plan)
    assert list(tmp_path.iterdir()) == []


def test_a_diff_shows_no_password(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "lab.yaml").write_text("git_url: https://git.example\ngit_username: ada\n")
    given = environment | {
        "SOPSLAB_FILE": str(tmp_path / "lab.yaml"), "SOPSLAB_GIT_PASSWORD": "hidden-password",
    }  # fmt: skip
    done = pyinfra(given, BARE, "deploy.py", "--dry", "--diff")
    assert done.returncode == 0, done.stderr
    shown = done.stdout + done.stderr
    assert "Git | Store the accounts" in shown
    assert "hidden-password" not in shown


def test_a_dry_teardown_of_nothing_predicts_no_change(environment: dict[str, str]) -> None:
    done = pyinfra(environment, BARE, "deploys/teardown.py", "--dry", "--json")
    assert done.returncode == 0, done.stderr
    plan = json.loads(done.stdout)["plan"]
    assert "Cluster | Delete the kind cluster lab" in [item["name"] for item in plan]
    assert [item["name"] for item in plan if item["hosts_with_change"]] == []


def test_bad_input_is_said_in_sentences_by_pyinfra_itself(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "lab.yaml").write_text("labs: demo\ngit_port: no\n")
    given = environment | {"SOPSLAB_FILE": str(tmp_path / "lab.yaml")}
    done = pyinfra(given, "inventories/local.py", "deploy.py", "--dry")
    assert done.returncode != 0
    for problem in ("labs: there is no such setting", "git_port: False is refused"):
        assert problem in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["lab.yaml"]


def test_a_broken_lab_file_is_said_in_one_sentence_by_pyinfra_itself(
    environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "lab.yaml").write_text("lab: [\n")
    given = environment | {"SOPSLAB_FILE": str(tmp_path / "lab.yaml")}
    done = pyinfra(given, "inventories/local.py", "deploy.py", "--dry")
    assert done.returncode != 0
    assert f"{tmp_path}/lab.yaml:2: " in done.stderr
    assert "Traceback" not in done.stderr
