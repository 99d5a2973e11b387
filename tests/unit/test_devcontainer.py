"""The devcontainer: a pinned machine, on which a lab is made as a CI job makes it."""

import json
import re
import subprocess

from sopslab.layout import PROJECT

DEFINITION = json.loads((PROJECT / ".devcontainer" / "devcontainer.json").read_text())


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
