"""What tests of recipes share: a lab, and stand-ins for the programs that recipes run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.lab.store.bench import bench
from sopslab.model.store import Arch, Entry
from tests.texts import write_files, write_program

StandIn = Callable[[str, str], None]


@pytest.fixture
def place(lab: Callable[..., Settings]) -> Lab:
    """A lab whose store is empty."""
    return lab().for_machine


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    """Write a shell script that shadows a program; `calls` returns its arguments."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    monkeypatch.setenv("CALLS", str(tmp_path / "calls"))

    def write(name: str, text: str) -> None:
        write_program(folder / name, f'#!/bin/sh\nset -eu\necho "{name} $*" >>"$CALLS"\n{text}\n')

    return write


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[str]]:
    """Return the calls of the stand-ins, one line each."""
    return lambda: (tmp_path / "calls").read_text().splitlines()


def entry(name: str, *files: str) -> Entry:
    """Return an entry that the store has to hold."""
    return Entry(name, "1.0", "modules", "amd64", f"recipe of {name}", files)


def stored(place: Lab, key: str, files: dict[str, str]) -> Path:
    """Put files into a folder of the store, as an earlier recipe would; return the folder."""
    folder = Path(place.store, key)
    write_files(folder, files)
    for name in files:
        (folder / name).chmod(0o755 if "bin/" in name else 0o644)
    return folder


def publish(place: Lab, files: dict[str, bytes], name: str = "tool", arch: Arch = "amd64") -> Path:
    """Publish an entry in a store, as a recipe does; return its folder."""
    wanted = replace(entry(name, *files), arch=arch)
    with bench(place, "test") as made:
        folder = made.folder / "entry"
        write_files(folder, files)
        for file in files:
            (folder / file).chmod(0o755 if file.startswith("bin/") else 0o600)
        made.publish(folder, wanted)
    return Path(place.store, wanted.key)
