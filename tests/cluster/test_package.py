"""The package on a machine that never had the checkout: from the wheel to the canary."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.inputs import local_settings
from tests.cluster.debian import ENGINE, Machine, machine
from tests.package import build, constraints

pytestmark = pytest.mark.soak

ENVIRONMENT = "/opt/sops-lab"
HOME = "/root"
ROOT = f"{HOME}/.local/share/sops-lab"
WORK = f"{ROOT}/labs/lab/work"
PLAIN = """
apiVersion: v1
kind: Secret
metadata: {name: plain, namespace: develop}
stringData: {password: of nobody at all}
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with the wheel in an environment of its own, of which only `sopslab` is on the
    PATH, as pipx and uv do it. Its store is full."""
    wheel = build(tmp_path_factory.mktemp("built"))
    (wheel.parent / "constraints.txt").write_text(constraints())
    with machine("trixie", "git", "python3-venv", *ENGINE["trixie"]) as bare:
        bare.copy_in(wheel.parent, "/package", wheel.name, "constraints.txt")
        bare.copy_in(Path(local_settings().root), ROOT, "store", "source")
        bare.run("python3", "-m", "venv", ENVIRONMENT)
        bare.run(
            f"{ENVIRONMENT}/bin/pip", "install", "--quiet",
            "--constraint=/package/constraints.txt", f"/package/{wheel.name}",
        )  # fmt: skip
        bare.run("ln", "--symbolic", f"{ENVIRONMENT}/bin/sopslab", "/usr/local/bin/sopslab")
        bare.run("touch", "/package/installed")
        yield bare


@pytest.fixture(scope="module")
def made(installed: Machine) -> dict[str, Any]:
    """What the first `sopslab up` on that machine said."""
    return answer(installed, "up")


def answer(machine: Machine, *arguments: str) -> dict[str, Any]:
    done = machine.run("sopslab", *arguments, "--json", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_it_makes_the_lab_and_a_second_run_has_nothing_to_do(
    installed: Machine, made: dict[str, Any]
) -> None:
    changed = {step["name"]: step["changed"] for step in made["steps"]}
    assert changed["Canary"] > 0
    assert answer(installed, "status")["up"]
    assert answer(installed, "up")["changed"] == 0


def test_its_commit_hook_finds_what_it_calls(installed: Machine, made: dict[str, Any]) -> None:
    secret = f"{WORK}/flux/secrets/develop/plain.yaml"
    installed.run("sh", "-euc", 'printf %s "$1" >"$2"', "sh", PLAIN, secret)
    installed.run("git", "add", secret, cwd=WORK)
    refused = installed.run("git", "commit", "--message", "Try", check=False, cwd=WORK)
    assert refused.returncode != 0
    assert "plain.yaml" in refused.stdout + refused.stderr
    installed.run("git", "rm", "--quiet", "--force", secret, cwd=WORK)
    installed.run("sh", "-euc", "echo mine >notes.md", cwd=WORK)
    installed.run("git", "add", "notes.md", cwd=WORK)
    installed.run("git", "commit", "--quiet", "--message", "Take notes", cwd=WORK)
    installed.run("git", "push", "--quiet", cwd=WORK)


def test_nothing_is_written_where_it_is_installed(installed: Machine, made: dict[str, Any]) -> None:
    assert installed.run("find", ENVIRONMENT, "-newer", "/package/installed").stdout == ""
