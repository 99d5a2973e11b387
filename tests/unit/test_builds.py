"""The one lock that all builds of a cluster share: who holds it, and for how long."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.act import builds as acting
from sopslab.lab.observe import builds
from sopslab.lab.observe.builds import endless_build, oldest
from sopslab.model.builds import Building

ONE, TWO = "1" * 40, "2" * 40
BUILDING = "Building manifests for revision main@sha1:{} with a timeout of 1m0s"


def kustomization(seat: str, since: str, message: str = BUILDING, **more: str) -> dict[str, Any]:
    told = {
        "type": "Reconciling", "status": "True", "reason": "Progressing",
        "lastTransitionTime": since, "message": message.format(ONE), **more,
    }  # fmt: skip
    return {
        "metadata": {"namespace": f"lab-{seat}-sys", "name": "secrets-develop"},
        "spec": {"sourceRef": {"name": "lab"}},
        "status": {"conditions": [told]},
    }


LATER = kustomization("ada", "2020-01-01T00:00:09Z")
BEGUN = kustomization("bob", "2020-01-01T00:00:00Z")
FAILED = kustomization("eve", "2019-01-01T00:00:00Z", reason="ProgressingWithRetry")
CHECKED = kustomization("joe", "2019-01-01T00:00:00Z", "Running health checks for {}")
# Answers with $here/*.json, and records its calls.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case " $* " in
*" get kustomizations"*" secrets-develop "*) cat "$here/own.json" ;;
*" get --raw /apis/kustomize."*) cat "$here/all.json" ;;
*" annotate "*) for word; do case $word in *requestedAt=*) asked=${word#*=} ;; esac; done
    sed "s/ASKED/$asked/" "$here/read.json" >"$here/source.json" ;;
*" get gitrepositories"*) cat "$here/source.json" ;;
*" patch "*) cat >"$here/patched" ;;
esac
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    return answered_by(KUBECTL)


def show(settings: Settings, name: str, what: Any) -> None:
    Path(settings.bin_dir, f"{name}.json").write_text(json.dumps(what))


def test_the_oldest_that_has_not_ended_holds_the_lock() -> None:
    found = oldest([LATER, FAILED, BEGUN, CHECKED])
    assert found is not None and found[0] is BEGUN
    assert oldest([FAILED, CHECKED]) is None


def test_a_build_that_has_had_its_time_is_endless(settings: Settings) -> None:
    show(settings, "all", {"items": [LATER, BEGUN]})
    assert endless_build(settings.for_machine) == Building(
        "lab-bob-sys", "secrets-develop", "lab", ONE, "2020-01-01T00:00:00Z"
    )


@pytest.mark.parametrize("items", [[], [FAILED], [CHECKED], [kustomization("x", "NOW")]])
def test_what_ends_or_has_just_begun_is_not_waited_for(settings: Settings, items: Any) -> None:
    text = json.dumps({"items": items}).replace("NOW", f"{datetime.now(UTC):{builds.TIME}}")
    show(settings, "all", json.loads(text))
    assert endless_build(settings.for_machine) is None


def test_a_build_that_takes_long_is_given_its_time(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builds, "_PATIENCE_S", 8)
    since = datetime.now(UTC) - timedelta(seconds=6)
    show(settings, "all", {"items": [kustomization("ada", f"{since:{builds.TIME}}")]})
    assert endless_build(settings.for_machine) is not None
    assert len(Path(settings.bin_dir, "calls").read_text().splitlines()) > 1


def test_without_a_cluster_nothing_is_built(settings: Settings) -> None:
    Path(settings.lab_kubeconfig).unlink()
    assert endless_build(settings.for_machine) is None


def end(settings: Settings, commit: str, since: str = "2020-01-01T00:00:00Z") -> str:
    """End the build of a commit; then the source has read commit 1. Return the calls of kubectl."""
    show(settings, "own", BEGUN)
    status = {"lastHandledReconcileAt": "ASKED", "artifact": {"revision": f"main@sha1:{ONE}"}}
    show(settings, "read", {"status": status})
    build = Building("lab-bob-sys", "secrets-develop", "lab", commit, since)
    acting.end(settings.for_machine, build)
    return Path(settings.bin_dir, "calls").read_text()


def test_what_would_begin_again_is_suspended(settings: Settings) -> None:
    done = end(settings, ONE)
    patched = json.loads(Path(settings.bin_dir, "patched").read_text())
    assert patched["spec"] == {"suspend": True}
    assert "delete pod --selector app=kustomize-controller" in done
    assert "delete lease kustomize-controller-leader-election" in done


def test_what_another_commit_has_replaced_is_not_suspended(settings: Settings) -> None:
    assert "delete pod" in end(settings, TWO)
    assert not Path(settings.bin_dir, "patched").exists()


def test_a_build_that_has_ended_meanwhile_is_left_alone(settings: Settings) -> None:
    assert "delete" not in end(settings, ONE, since="2020-01-01T00:00:05Z")
