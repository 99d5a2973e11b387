"""What remains of a purged lab, and of what the labs of a root share."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.act.removal import purge, purge_own
from sopslab.lab.store.members import using
from tests.interrupted import killed_in_removal
from tests.texts import write_program


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A docker with two images, which it does not remove; it records its calls."""
    program = write_program(
        tmp_path / "docker" / "docker",
        '#!/bin/sh\nprintf \'%s\\n\' "$*" >>"$0.calls"\n'
        "[ \"$2\" = ls ] || exit 1\nprintf 'sops-lab/git:1\\nsops-lab/node:2\\n'\n",
    )
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    return program


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    """A lab, with the files that its root shares, and a link to a folder outside of the root."""
    found = lab()
    root = Path(found.root)
    for folder in ("store", "bin", "cache/mod", "schemas", "sysctl"):
        (root / folder).mkdir(parents=True)
    for file in ("lock.json", "source", "cache/mod/read-only"):
        (root / file).write_text("")
    (root / "cache" / "mod").chmod(0o500)
    Path(found.keys_dir).mkdir(parents=True)
    Path(found.lab_dir, "link").symlink_to(root.parent)
    return found


def test_with_the_last_lab_goes_what_labs_share(settings: Settings, docker: Path) -> None:
    purge(settings.for_machine)
    assert not Path(settings.root).exists()
    assert docker.parent.exists()
    *_, removed = docker.with_name("docker.calls").read_text().splitlines()
    assert removed == "image rm sops-lab/git:1 sops-lab/node:2"


def test_the_product_that_may_be_what_runs_stays(settings: Settings, docker: Path) -> None:
    root = Path(settings.root)
    for folder in ("product/1/environment", "members", "wheels"):
        (root / folder).mkdir(parents=True)
    for file in ("bundle.json", "bundle-signers", "pushed-images.json", "bin/sops"):
        (root / file).write_text("")
    (root / "bin" / "sopslab").symlink_to("../product/1/environment/bin/sopslab")
    purge(settings.for_machine)
    assert {path.name for path in root.iterdir()} == {"bin", "product"}
    assert [path.name for path in (root / "bin").iterdir()] == ["sopslab"]


def test_another_lab_of_the_root_keeps_what_they_share(settings: Settings, docker: Path) -> None:
    other = Path(settings.root, "labs", "other")
    other.mkdir()
    purge(settings.for_machine)
    assert not Path(settings.lab_dir).exists()
    assert other.is_dir()
    assert Path(settings.root, "store").is_dir()
    assert not docker.with_name("docker.calls").exists()


def test_what_a_room_is_given_just_now_stays(settings: Settings, docker: Path) -> None:
    with using(settings.for_machine, ""):
        purge(settings.for_machine)
        assert not Path(settings.lab_dir).exists()
        assert Path(settings.root, "store").is_dir()
    assert not docker.with_name("docker.calls").exists()


def test_what_is_not_ours_in_a_root_stays(settings: Settings, docker: Path) -> None:
    kept = Path(settings.root, "notes")
    kept.write_text("mine")
    limit = Path(settings.root, "sysctl", "limit")
    limit.write_text("128\n")
    purge(settings.for_machine)
    assert sorted(path.name for path in Path(settings.root).iterdir()) == ["notes", "sysctl"]
    assert limit.exists()


def test_a_lab_has_its_lease_and_its_lock_until_all_else_is_gone(settings: Settings) -> None:
    folder = Path(settings.lab_dir)
    for number in itertools.count(1):
        for name in ("class", "git", "keys", "log", "work"):
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / "file").touch()
        for name in ("format", "id", "lease.json", "lock"):
            (folder / name).touch()
        repository = Path(settings.git_dir, "repositories", "ada", "lab.git")
        (repository / "objects" / "pack").mkdir(parents=True)
        for name in ("HEAD", "objects/pack/a.pack"):
            (repository / name).touch()
        killed = killed_in_removal(number, lambda: purge_own(settings.for_machine))
        left = {path.name for path in folder.glob("*")}
        assert {"lease.json", "lock"} <= left or left <= {"lease.json"}
        # Half a repository would keep the next `up` from making another.
        assert (repository / "HEAD").exists() or not repository.exists()
        if not killed:
            break
        purge_own(settings.for_machine)
        assert not folder.exists()
    assert number > 10


def test_of_what_labs_share_nothing_goes_with_the_own(settings: Settings, docker: Path) -> None:
    purge_own(settings.for_machine)
    assert not Path(settings.lab_dir).exists()
    assert Path(settings.root, "store").is_dir()
    assert Path(settings.root, "cache", "mod", "read-only").exists()
    assert not docker.with_name("docker.calls").exists()
