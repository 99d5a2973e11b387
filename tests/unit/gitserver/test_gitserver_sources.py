"""The sources that are delivered into the Git server's container are all that runs there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sopslab.layout import git_server_sources

LOADED = """
import sys
sys.path.insert(0, sys.argv[1])
before = set(sys.modules)
__import__(sys.argv[2])
for name in sorted(set(sys.modules) - before):
    print(name, getattr(sys.modules[name], "__file__", None) or "")
"""


@pytest.mark.parametrize("module", ["asking", "judges", "receive", "server"])
def test_it_imports_what_was_delivered_and_pyyaml(tmp_path: Path, module: str) -> None:
    for path, source in git_server_sources().items():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
    done = subprocess.run(
        [sys.executable, "-P", "-c", LOADED, str(tmp_path), f"sopslab.gitserver.{module}"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    loaded = dict(line.split(" ", 1) for line in done.stdout.splitlines())

    ours = {name: file for name, file in loaded.items() if name.split(".")[0] == "sopslab"}
    assert f"sopslab.gitserver.{module}" in ours
    assert {file for file in ours.values() if not file.startswith(f"{tmp_path}/")} == set()
    strangers = {
        name.split(".")[0]
        for name, file in loaded.items()
        if "site-packages" in file or "dist-packages" in file
    }
    assert strangers <= {"_yaml", "yaml"}


def test_nothing_is_delivered_twice_and_each_folder_is_a_package() -> None:
    sources = git_server_sources()
    folders = {str(Path(path).parent) for path in sources}

    assert {f"{folder}/__init__.py" for folder in folders} <= sources.keys()
    assert all(source.is_file() for source in sources.values())
