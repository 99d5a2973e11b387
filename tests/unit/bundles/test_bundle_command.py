"""`sopslab bundle`: its arguments, and its output."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from sopslab.artifacts.catalog import Catalog
from sopslab.cli.main import main
from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.lab.observe.store import this_arch
from tests.unit.artifacts.conftest import publish
from tests.unit.bundles.conftest import ENTRIES, FILES, signers


@pytest.fixture
def root(lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with a full store, for a catalog with a few entries."""
    place = lab().for_machine
    for name, files in FILES.items():
        publish(place, files, name)
    entries = {entry.name: replace(entry, arch=this_arch()) for entry in ENTRIES}

    def filled(_: Catalog, source: str, _arch: str) -> dict[str, Any]:
        return entries if source == "modules" else {}

    monkeypatch.setattr(Catalog, "entries", filled)
    monkeypatch.setattr(Catalog, "digest", "digest")
    monkeypatch.setenv("SOPSLAB_ROOT", place.root)
    return Path(place.root)


def sopslab(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["bundle", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def test_a_bundle_goes_from_one_root_to_another(
    root: Path, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lab.bundle"
    made = json.loads(sopslab("create", "--output", file, "--sign-with", key, "--json"))
    assert (made["ok"], made["signed"], made["members"]) == (True, True, 4)
    assert made["size"] == file.stat().st_size
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path / "seat"))
    assert "is whole" in sopslab("verify", file, "--signers", signers(key))
    assert "(3 changes). Next: sopslab up" in sopslab("load", file, "--signers", signers(key))
    assert "nothing to do" in sopslab("load", file)


def test_one_that_is_not_signed_says_what_that_means(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "lab.bundle"
    said = sopslab("create", "--output", file)
    assert "Its manifest has the SHA-256 " in said and "It is not signed" in said
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path / "seat"))
    assert "nothing says who made it" in sopslab("load", file, code=1)
    answer = json.loads(sopslab("load", file, "--unsigned", "--json"))
    assert sorted(answer["entries"]) == ["files-1.0", "image-1.0", "tool-1.0"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--arch", "both"), "make one on a machine of the other kind, and name it"),
        (("--python", "3.10"), "--python: 3.10: known are 3.11, "),
        (("--split", "lots"), "--split: 'lots' is refused: a size such as 4000M is needed"),
        (("--split", "10K"), "--split: '10K' is refused"),
    ],
)
def test_what_cannot_be_made_is_refused_first(
    options: tuple[str, str], said: str, root: Path, tmp_path: Path
) -> None:
    output = tmp_path / "lab.bundle"
    assert said in sopslab("create", "--output", output, *options, code=Exit.INPUT)
    assert not output.exists() and not (root / "members").exists()


def test_a_store_that_is_not_full_is_no_bundle(root: Path, tmp_path: Path) -> None:
    (root / "store" / "tool-1.0" / "manifest.json").unlink()
    said = sopslab("create", "--output", tmp_path / "lab.bundle", code=Exit.ARTIFACTS)
    assert "is not full: run `sopslab fetch`" in said


def test_a_folder_that_is_not_there_is_named(root: Path, tmp_path: Path) -> None:
    said = sopslab("create", "--output", tmp_path / "absent" / "a", code=Exit.INPUT)
    assert "name a file in a folder that is there" in said


def test_trust_is_one_thing_or_the_other(root: Path, key: Path, tmp_path: Path) -> None:
    file = tmp_path / "lab.bundle"
    said = sopslab("load", file, "--unsigned", "--signers", signers(key), code=2)
    assert "exclude one another" in said
