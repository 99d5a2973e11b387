"""The recipe that pulls images, with a stand-in for docker."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.store.pull import pull
from sopslab.layout import PROJECT
from sopslab.model.recipes import PullPlan
from tests.texts import write_program

DOCKER = """#!/bin/sh
echo "$*" >>"$0.calls"
case "$*" in
"image inspect"*) exit KNOWN ;;
"pull "*) exit PULLED ;;
"save --help") echo "OPTIONS" ;;
save*) for last; do [ "$previous" != --output ] || echo image >"$last"; previous=$last; done ;;
esac
"""
REFERENCE = "registry.example/a@sha256:0"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes a docker: it has the image (0) or not (1), can pull it or not,
    and knows an option."""

    def write(known: int = 1, pulled: int = 0, option: str = "") -> Path:
        docker = tmp_path / "docker"
        text = DOCKER.replace("KNOWN", str(known)).replace("PULLED", str(pulled))
        write_program(docker, text.replace("OPTIONS", option))
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        return Path(f"{docker}.calls")

    return write


def pulled(settings: Settings) -> Path:
    """Run the recipe for an image of the catalog; return its path in the store."""
    catalog = load_catalog(PROJECT / "artifacts" / "catalog.yaml")
    thing = next(thing for thing in catalog.things("upstream") if thing.kind == "pull")
    work = catalog.work(thing, "upstream", "arm64")
    assert isinstance(work.plan, PullPlan)
    pull(settings.for_machine, work.plan, work.entries[0], REFERENCE)
    return Path(settings.store, work.entries[0].key, "image.tar")


@pytest.mark.parametrize("option", ["", "--platform string"])
def test_of_an_image_one_platform_is_kept_where_docker_could_keep_the_names_of_all(
    option: str, docker: Callable[..., Path], lab: Callable[..., Settings]
) -> None:
    calls = docker(option=option)
    assert pulled(lab()).read_text() == "image\n"
    told = calls.read_text().splitlines()
    (saved,) = [call for call in told if call.startswith("save ") and "--help" not in call]
    assert ("--platform linux/arm64" in saved) is bool(option)


def test_an_image_is_removed_after_it_only_if_nobody_had_it(
    docker: Callable[..., Path], lab: Callable[..., Settings]
) -> None:
    calls = docker()
    pulled(lab())
    assert f"rmi {REFERENCE}" in calls.read_text().splitlines()
    calls = docker(known=0)
    calls.unlink()
    pulled(lab())
    assert f"rmi {REFERENCE}" not in calls.read_text().splitlines()


def test_an_image_that_is_not_to_be_had_is_named_and_nothing_is_stored(
    docker: Callable[..., Path], lab: Callable[..., Settings]
) -> None:
    docker(pulled=1)
    settings = lab()
    with pytest.raises(LabError, match=f"{REFERENCE} could not be pulled: does its registry"):
        pulled(settings)
    assert list(Path(settings.store).iterdir()) == []
