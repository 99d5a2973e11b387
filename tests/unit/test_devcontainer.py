"""The devcontainer: a pinned machine, on which a lab is made as a CI job makes it."""

import json
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.layout import PROJECT
from tests.texts import write_program

DEFINITION = json.loads((PROJECT / ".devcontainer" / "devcontainer.json").read_text())
(CHECKS,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]


def test_the_lab_is_made_by_the_recipe_of_ci_as_one_that_stays() -> None:
    shell, script, verb = DEFINITION["postCreateCommand"].split()

    told = subprocess.run(
        [shell, script, "--help"], cwd=PROJECT, capture_output=True, text=True, check=False
    )

    # The recipe lists its verbs, and this one is among them.
    assert re.search(rf"lab\.sh {verb}\b", told.stderr)
    assert (PROJECT / DEFINITION["containerEnv"]["SOPSLAB_INVENTORY"]).is_file()


def test_everything_that_is_fetched_has_a_version() -> None:
    for name in (DEFINITION["image"], *DEFINITION["features"]):
        assert re.search(r":(\d+\.\d+\.\d+|\d+-\d+\.\d+-[a-z]+)$", name), name


@pytest.mark.parametrize("hook", CHECKS["hooks"], ids=lambda hook: hook["id"])
@pytest.mark.parametrize("named", [True, False])
def test_a_commit_is_checked_by_the_programs_of_the_environment(
    named: bool, hook: dict[str, Any], tmp_path: Path
) -> None:
    venv = tmp_path / ("elsewhere" if named else ".venv")
    command = hook["entry"].partition(".ci/program ")[2].split()
    write_program(venv / "bin" / command[0], '#!/bin/sh\nprintf "%s\\n" "$@"\n')
    (tmp_path / ".ci").symlink_to(PROJECT / ".ci")
    own = {"SOPSLAB_VENV": str(venv) if named else ""}
    done = subprocess.run(
        [*shlex.split(hook["entry"]), "two words.py"], cwd=tmp_path, env={**os.environ, **own},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [*command[1:], "two words.py"]
