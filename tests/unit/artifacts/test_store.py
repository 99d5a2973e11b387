"""The state of a machine's store, and the faults of an entry."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act.removal import purge
from sopslab.lab.observe import store as observe
from sopslab.lab.observe.store import go_version, store_state
from sopslab.lab.store import bench as module
from sopslab.lab.store.bench import bench, clear_cache, turn
from sopslab.lab.tools import files
from sopslab.lab.tools.locks import is_locked
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.store import Entry, Store, StoredEntry
from tests.texts import write_program

SUM = "5" * 64
STAT = "755 5 1"
ENTRY = Entry("sops", "3.13.3", "modules", "amd64", "digest", ("bin/sops",))
KEY = "sops-3.13.3"


def describe(
    manifest: Any = None, stat: str | None = STAT, stamp: str = STAT, sums: str | None = None
) -> StoredEntry:
    return StoredEntry(
        {**ENTRY.manifest, "files": {"bin/sops": SUM}} if manifest is None else manifest,
        {"bin/sops": stat} if stat else {},
        {"bin/sops": stamp},
        {"bin/sops": sums} if sums else {},
    )


def test_an_entry_that_is_what_its_manifest_says_has_no_fault() -> None:
    assert describe().fault(ENTRY) is None


def test_a_changed_time_is_forgiven_and_a_changed_sum_is_not() -> None:
    touched = describe(stat="755 5 2")
    assert touched.doubtful() == ["bin/sops"]
    assert replace(touched, sums={"bin/sops": SUM}).fault(ENTRY) is None
    for sums in ({"bin/sops": "6" * 64}, {}):
        fault = replace(touched, sums=sums).fault(ENTRY)
        assert fault == "sops-3.13.3/bin/sops is not what its manifest says"


@pytest.mark.parametrize(
    ("stored", "fault"),
    [
        (None, "sops-3.13.3 is missing"),
        (describe(stat=None), "sops-3.13.3/bin/sops is missing"),
        (describe({}), "sops-3.13.3 was made by another recipe"),
        (describe({**ENTRY.manifest, "recipe": "x"}), "sops-3.13.3 was made by another recipe"),
        (describe({**ENTRY.manifest, "files": {}}), "sops-3.13.3/bin/sops is missing"),
        (describe(stat="644 5 1", stamp="644 5 1"), "sops-3.13.3/bin/sops cannot be run"),
    ],
    ids=["no entry", "no file", "no manifest", "other recipe", "unlisted", "no mode"],
)
def test_a_fault_is_named(stored: StoredEntry | None, fault: str) -> None:
    assert Store(entries={KEY: stored} if stored else {}).fault(ENTRY) == fault


Root = Callable[..., Settings]


def publish(settings: Settings, content: str = "sops", mode: int = 0o755) -> Path:
    """Put an entry into the store, as recipes do; return its folder."""
    with bench(settings.for_machine, "test") as place:
        made = place.folder / "entry"
        (made / "bin").mkdir(parents=True)
        (made / "bin" / "sops").write_text(content)
        (made / "bin" / "sops").chmod(mode)
        place.publish(made, ENTRY)
    return Path(settings.store, KEY)


def seen(settings: Settings) -> Store:
    return store_state(settings.for_machine, images=[])


def test_what_a_recipe_publishes_is_seen_without_a_fault(lab: Root) -> None:
    settings = lab()
    folder = publish(settings)
    assert seen(settings).fault(ENTRY) is None
    assert seen(settings).entries[KEY].sums == {}
    assert folder.stat().st_mode & 0o777 == 0o755
    # Anybody may read and run what the store holds.
    assert all(path.stat().st_mode & 0o044 == 0o044 for path in folder.rglob("*"))
    # An entry that is published again is replaced as a whole.
    (folder / "more").touch()
    publish(settings, "another")
    assert (folder / "bin" / "sops").read_text() == "another"
    assert not (folder / "more").exists()
    assert {path.name for path in Path(settings.root, "cache").iterdir()} == {"test.lock"}


def test_what_was_changed_in_the_store_is_seen(lab: Root) -> None:
    settings = lab()
    tool = publish(settings) / "bin" / "sops"
    os.utime(tool, (1, 1))
    assert seen(settings).fault(ENTRY) is None
    tool.write_text("evil")
    assert seen(settings).fault(ENTRY) == f"{KEY}/bin/sops is not what its manifest says"
    tool.unlink()
    assert seen(settings).fault(ENTRY) == f"{KEY}/bin/sops is missing"


@pytest.mark.parametrize("text", ["", "no JSON", "[1]", "null"])
def test_a_manifest_that_cannot_be_read_describes_nothing(text: str, lab: Root) -> None:
    settings = lab()
    (publish(settings) / "manifest.json").write_text(text)
    assert seen(settings).fault(ENTRY) == f"{KEY} was made by another recipe"


def test_an_entry_that_is_there_already_is_known_as_published(lab: Root) -> None:
    settings = lab()
    tool = publish(settings) / "bin" / "sops"
    os.utime(tool, (1, 1))
    with bench(settings.for_machine, "test") as place:
        assert place.is_published(ENTRY)
        assert not place.is_published(replace(ENTRY, recipe="other"))
        assert not place.is_published(replace(ENTRY, version="4"))
    # `is_published` has read the file, and noted its present time.
    assert seen(settings).entries[KEY].doubtful() == []
    tool.chmod(0o644)
    with bench(settings.for_machine, "test") as place:
        assert not place.is_published(ENTRY)


def test_the_whole_state_is_read(
    lab: Root, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    root = Path(settings.root)
    assert seen(settings) == Store(seen(settings).arch)
    for folder in ("bin", "cache/go-build", "store/.left"):
        (root / folder).mkdir(parents=True)
    (root / "source").write_text("modules\n")
    (root / "cache" / "go.lock").touch()
    (root / "bin" / "sops").symlink_to("../store/sops-3.13.3/bin/sops")
    docker = tmp_path / "docker"
    labels = {"sops-lab.recipe": "digest", "sops-lab.cni": "static"}
    labelled = json.dumps(labels)
    write_program(
        docker,
        f"#!/bin/sh\nprintf '%s\\t%s\\n' '[\"a:1\",\"b:2\"]' '{labelled}' '[\"plain:1\"]' null\n"
        "echo\nexit 1\n",
    )
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = store_state(settings.for_machine, images=["a:1", "plain:1", "none:1"])
    assert found == Store(
        found.arch,
        "modules",
        {},
        {"sops": "../store/sops-3.13.3/bin/sops"},
        {"a:1": labels, "b:2": labels, "plain:1": {}},
        ("go-build",),
    )
    assert found.arch == {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]


def test_the_cache_is_cleared_and_its_locks_stay(lab: Root) -> None:
    settings = lab()
    cache = Path(settings.root, "cache")
    (cache / "go-build" / "ab").mkdir(parents=True)
    (cache / "work.go.x").mkdir()
    (cache / "work.image.x").mkdir()
    (cache / "image.lock").touch()
    clear_cache(settings.for_machine)
    # Only locks are left, and they do not count as caches that a run has to clear.
    assert seen(settings).cache == ()
    assert wait_until(lambda: not is_locked(cache / "gone.lock"), 10)
    assert {path.name for path in cache.iterdir()} == {"go.lock", "gone.lock", "image.lock"}
    assert seen(settings).cache == ()


def test_a_folder_that_another_run_works_in_is_no_leaving(lab: Root) -> None:
    settings = lab()
    cache = Path(settings.root, "cache")
    (cache / "go-build").mkdir(parents=True)
    with bench(settings.for_machine, "rootfs-12.3") as place:
        assert seen(settings).cache == ("go-build",)
        clear_cache(settings.for_machine)
        assert wait_until(lambda: not is_locked(cache / "gone.lock"), 10)
        assert not (cache / "go-build").exists()
        assert seen(settings).cache == ()
        assert place.folder.is_dir()


def test_what_a_build_has_left_is_to_be_removed_when_it_has_ended(lab: Root) -> None:
    settings = lab()
    (Path(settings.root, "cache") / "go-build").mkdir(parents=True)
    (Path(settings.root, "cache") / "go.lock").touch()
    assert seen(settings).cache == ("go-build",)
    with turn(settings.for_machine, "go"):
        assert seen(settings).cache == ()


def test_a_removal_that_is_killed_leaves_nothing_that_a_build_would_trust(
    lab: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    cache = Path(settings.root, "cache")
    for name in ("a", "b"):
        (cache / "go-mod" / name).mkdir(parents=True)
        (cache / "go-mod" / name / "file").touch()
    with monkeypatch.context() as killed:
        killed.setattr(os, "rmdir", lambda *_, **__: os._exit(9))
        clear_cache(settings.for_machine)
        assert wait_until(lambda: not is_locked(cache / "gone.lock"), 10)
    (left,) = seen(settings).cache
    assert left.startswith("gone.")
    assert len(list((cache / left).rglob("file"))) == 1
    clear_cache(settings.for_machine)
    assert wait_until(lambda: not is_locked(cache / "gone.lock"), 10)
    assert {path.name for path in cache.iterdir()} == {"go.lock", "gone.lock"}


def test_no_build_waits_for_a_removal_and_a_purge_does(
    lab: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    cache = Path(settings.root, "cache")
    (cache / "go-build").mkdir(parents=True)
    Path(settings.lab_dir).mkdir(parents=True)
    monkeypatch.setattr(module, "_TURN_S", 0.2)
    ends, told = os.pipe()

    def until_told(_: Path) -> None:
        os.close(told)
        os.read(ends, 1)

    with monkeypatch.context() as slow:
        slow.setattr(files, "remove_all", until_told)
        clear_cache(settings.for_machine)
    os.close(ends)
    with bench(settings.for_machine, "go"):
        pass
    assert seen(settings).cache == ()
    with pytest.raises(LabError, match="another run has been removing the build caches"):
        purge(settings.for_machine)
    os.close(told)
    assert wait_until(lambda: not is_locked(cache / "gone.lock"), 10)


@pytest.mark.parametrize(
    ("says", "version"),
    [
        ("go1.26.8", (1, 26, 8)),
        ("go1.27rc1", (1,)),
        ("go1.26.8 X:nocoverageredesign", (1, 26, 8)),
        ("", ()),
        ("devel", ()),
    ],
)
def test_the_version_of_go_is_read(
    says: str, version: tuple[int, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_program(tmp_path / "go", f'#!/bin/sh\n[ "$*" = "env GOVERSION" ] && echo "{says}"\n')
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    assert go_version() == version


def test_a_machine_without_go_has_no_version_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(observe, "GO_FOLDER", str(tmp_path))
    assert go_version() == ()
