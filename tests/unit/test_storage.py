"""What an existing cluster offers for the claim of the lab's Git server, and what it lacks."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.clusters import refused
from sopslab.checks.storage import find_storage_problems
from sopslab.config.settings import Settings
from sopslab.lab.observe.storage import storage_of
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.clusters import ClusterTraits, Storage, Volume
from sopslab.model.rights import GIT_RIGHTS
from tests.texts import write_program

GIB = 1024**3
BOTH = Storage(classes=("slow", "fast"), default=True)
NAMED = Storage(classes=("slow", "fast"))
KUBECTL = """#!/bin/sh
case " $* " in
*" get storageclasses,persistentvolumes --all-namespaces "*) cat "$(dirname "$0")/items" ;;
*) exit 1 ;;
esac
"""


def said(storage: Storage | None, wanted: str | None, **traits: Any) -> list[str]:
    seen = ClusterTraits(asked=True, storage=storage, **traits)
    return refused(find_storage_problems(seen, wanted, "5Gi"), frozenset())


@pytest.mark.parametrize(
    ("storage", "wanted"),
    [
        (BOTH, None),
        (BOTH, "fast"),
        (NAMED, "fast"),
        (Storage(volumes=(Volume("by-hand", 5 * GIB),)), "by-hand"),
        (Storage(volumes=(Volume("", 6 * GIB),)), None),
    ],
)
def test_what_serves_the_claim_is_enough(storage: Storage, wanted: str | None) -> None:
    assert said(storage, wanted) == []


@pytest.mark.parametrize(
    ("storage", "wanted", "found", "advice"),
    [
        (NAMED, None, "has no default StorageClass", "name one of slow, fast"),
        (Storage(), None, "has no default StorageClass", "have its administrators make one"),
        (BOTH, "quick", "has no StorageClass quick", "name one of slow, fast"),
        (Storage(volumes=(Volume("by-hand", 5 * GIB - 1),)), "by-hand", "by-hand", "make one"),
        (Storage(volumes=(Volume("by-hand", 5 * GIB),)), None, "no default", "make one"),
    ],
)
def test_what_it_lacks_is_said_in_one_sentence(
    storage: Storage, wanted: str | None, found: str, advice: str
) -> None:
    (sentence,) = said(storage, wanted)
    assert found in sentence
    assert advice in sentence


def test_what_was_not_seen_is_not_taken_for_there() -> None:
    assert "does not say" in said(None, None)[0]
    assert said(None, None, denied=GIT_RIGHTS) == [], "it is told as a right"
    assert said(None, None, unseen="it does not answer") == []
    assert find_storage_problems(ClusterTraits(), None, "5Gi") == []


def storage_class(name: str, **annotations: str) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if annotations:
        metadata["annotations"] = {
            f"{key}.kubernetes.io/is-default-class": value for key, value in annotations.items()
        }
    return {"kind": "StorageClass", "metadata": metadata}


def volume(phase: str, claim: tuple[str, str] | None = None, **spec: str) -> dict[str, Any]:
    of_claim = {"claimRef": {"namespace": claim[0], "name": claim[1]}} if claim else {}
    return {
        "kind": "PersistentVolume",
        "metadata": {"name": "volume"},
        "spec": {"capacity": {"storage": "5Gi"}, **spec, **of_claim},
        "status": {"phase": phase},
    }


@pytest.fixture
def settings(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    """A lab with a cluster that lists what a file holds, if it is asked for storage."""
    write_program(tools() / "kubectl", KUBECTL)
    return lab(cluster_provider="existing", kubeconfig="/home/ada/.kube/config", context="prod")


def seen(settings: Settings, *items: dict[str, Any]) -> Storage:
    Path(settings.bin_dir, "items").write_text(json.dumps({"items": items}))
    found = storage_of(settings, Kubectl(settings))
    assert found is not None
    return found


def test_the_default_class_is_known_by_either_annotation(settings: Settings) -> None:
    slow = storage_class("slow")
    assert seen(settings, slow) == Storage(classes=("slow",))
    assert not seen(settings, slow, storage_class("fast", storageclass="false")).default
    assert seen(settings, slow, storage_class("fast", storageclass="true")).default
    assert seen(settings, slow, storage_class("fast", **{"storageclass.beta": "true"})).default


def test_volumes_that_others_have_do_not_count(settings: Settings) -> None:
    own, theirs = ("sops-lab-git-lab", "repositories-git-0"), ("shop", "repositories-git-0")
    found = seen(
        settings,
        volume("Available", storageClassName="free"),
        volume("Bound", own, storageClassName="bound"),
        volume("Bound", theirs, storageClassName="taken"),
        volume("Released", storageClassName="spent"),
        volume("Available"),
    )
    assert [one.storage_class for one in found.volumes] == ["free", "bound", ""]
    assert {one.size for one in found.volumes} == {5 * GIB}


def test_a_cluster_that_does_not_show_them_is_not_seen(settings: Settings) -> None:
    assert storage_of(settings, Kubectl(settings)) is None
