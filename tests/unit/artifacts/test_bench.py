"""Recipes on their bench: one works at a time, and a kill at any moment leaves no half entry."""

from __future__ import annotations

import fcntl
import itertools
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.observe.store import store_state
from sopslab.lab.store import bench as module
from sopslab.lab.store import rootfs
from sopslab.lab.store.bench import bench
from sopslab.lab.store.pull import pull
from sopslab.lab.store.trees import copy_tree
from sopslab.lab.tools.programs import Failed
from sopslab.model.recipes import PullPlan
from sopslab.provision.command import acting
from tests.interrupted import killed_before_change
from tests.unit.artifacts.conftest import StandIn, entry

SAVES = """
case "$*" in
"image inspect"*) exit 1 ;;
save\\ *--output*) echo "$IMAGE" >"$3" ;;
esac
"""


def test_two_never_make_the_same_and_who_waits_says_so(
    place: Lab, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TURN_S", 0.2)
    with bench(place, "go"):
        assert capfdbinary.readouterr().err == b""
        with bench(place, "image"):
            pass
        with (
            pytest.raises(LabError, match="another run has been making go for 0 minutes: end it"),
            bench(place, "go"),
        ):
            pass
    assert b"waiting for another run that is making go\n" in capfdbinary.readouterr().err
    with bench(place, "go"):
        pass


def test_who_waits_is_not_told_to_end_what_is_within_its_own_time() -> None:
    assert max(module.LONGEST_S, rootfs._MAKE_S) < module._TURN_S


def is_free(lock: Path) -> bool:
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def test_a_program_that_a_killed_run_left_running_is_awaited(place: Lab) -> None:
    lock = Path(place.root, "cache", "go.lock")
    with bench(place, "go") as made:
        # The process outlives its parent, like a process that a killed run has started.
        number = made.run("sh", "-c", "sleep 1 >/dev/null 2>&1 & echo $!")
    assert not is_free(lock)
    os.kill(int(number), 9)
    with bench(place, "go"):
        assert not is_free(lock)
    assert is_free(lock)


@pytest.mark.parametrize("end", ["", "\n"], ids=["cut off", "whole"])
def test_what_a_program_says_that_fails_is_in_the_log_above_our_sentence(
    end: str, place: Lab, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    failing = ("sh", "-c", f"printf 'out of memory{end}' >&2; exit 1")
    with bench(place, "go") as made:
        with pytest.raises(LabError, match="Go could not build it: see above"):
            made.run(*failing, otherwise="Go could not build it: see above")
        assert capfdbinary.readouterr().err == b"out of memory\n"
        with pytest.raises(Failed) as failed:
            made.run(*failing)
        assert failed.value.lines == ["out of memory"]
    assert list(Path(place.root, "cache").glob("work.*")) == []


def test_files_of_a_module_may_be_written_where_they_are_copied_to(tmp_path: Path) -> None:
    source = tmp_path / "module"
    (source / "sub").mkdir(parents=True)
    (source / "sub" / "a.go").write_text("a")
    (source / "sub" / "a.go").chmod(0o444)
    (source / "sub").chmod(0o555)
    copy_tree(source, tmp_path / "copy")
    (source / "sub").chmod(0o755)
    copied = tmp_path / "copy" / "sub" / "a.go"
    assert copied.read_text() == "a"
    assert copied.stat().st_mode & 0o200 and copied.parent.stat().st_mode & 0o200


def test_whenever_a_recipe_is_killed_an_entry_is_whole_or_not_there(
    lab: Callable[..., Settings], stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = lab()
    stand_in("docker", SAVES)
    plan = PullPlan("registry.example/a", "sha256:0", "kept/a:1")
    wanted = entry("a", "image.tar")
    image = Path(settings.store, wanted.key, "image.tar")
    for content in ("old", "new"):
        monkeypatch.setenv("IMAGE", content)
        command = acting(settings, pull, plan=plan, entry=wanted, reference="a@sha256:0")
        for number in itertools.count(1):
            killed = killed_before_change(number, command, Path(settings.root))
            found = store_state(settings.for_machine, images=[])
            assert found.fault(wanted) in (None, f"{wanted.key} is missing")
            assert not image.exists() or image.read_text().strip() in ("old", content)
            if not killed:
                break
        assert number > 5
        assert image.read_text() == f"{content}\n"
    # The remains of killed runs are removed with the caches.
    assert set(found.cache) <= {path.name for path in Path(settings.root, "cache").glob("work.*")}
