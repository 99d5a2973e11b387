"""Recipes find a Python that has pip, whatever the machine's own has."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from sopslab.config.settings import Settings
from sopslab.provision.operations import artifact

BARE = "#!/bin/sh\necho 'No module named pip' >&2\nexit 1\n"


class Recipes:
    """A catalog with one recipe."""

    def script(self, _name: str) -> str:
        """Return what a recipe does that needs pip."""
        return "python3 -m pip --version"


def test_a_machine_whose_python_has_no_pip_does_for_a_recipe(
    lab: Callable[..., Settings], tmp_path: Path
) -> None:
    python = tmp_path / "python3"
    python.write_text(BARE)
    python.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    assert subprocess.run(["python3", "-m", "pip"], env=environment, check=False).returncode == 1

    command = artifact._run(lab(), Recipes(), "toolchain", "{}")  # type: ignore[arg-type]
    done = subprocess.run(
        ["sh", "-c", command.get_raw_value()],
        input=str(command.connector_arguments["_stdin"]),
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("pip ")
