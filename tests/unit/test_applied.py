"""Objects that are as they were applied are not compared with kubectl; other objects are."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.applied import are_as_applied, lasting
from sopslab.config.settings import Settings
from sopslab.lab.act import manifests
from sopslab.lab.observe.applied import record_file
from sopslab.lab.observe.manifests import ABSENT, manifest_drift

MADE: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {
        "name": "a",
        "namespace": "flux-system",
        "uid": "1",
        "resourceVersion": "7",
        "labels": {"app": "a", "their": "label"},
        "annotations": {"counted": "1"},
        "managedFields": [
            {
                "manager": "sops-lab",
                "operation": "Apply",
                "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}},
            },
            {
                "manager": "sops-lab",
                "operation": "Update",
                "fieldsV1": {"f:metadata": {"f:annotations": {"f:counted": {}}}},
            },
            {
                "manager": "other",
                "operation": "Apply",
                "fieldsV1": {"f:metadata": {"f:labels": {"f:their": {}}}},
            },
        ],
    },
    "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}},
    "status": {"replicas": 1},
}
APPLIED = lasting(MADE, "sops-lab")


def changed(*way: str, value: Any = None) -> dict[str, Any]:
    """Return the object with another value at a place; None removes the place."""
    live = copy.deepcopy(MADE)
    *above, name = way
    place = live
    for part in above:
        place = place[part]
    if value is None:
        del place[name]
    else:
        place[name] = value
    return live


def test_of_an_object_that_was_applied_its_content_lasts_and_what_we_gave_it() -> None:
    assert {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "a",
            "namespace": "flux-system",
            "labels": {"app": "a"},
            "annotations": {},
        },
        "spec": MADE["spec"],
    } == APPLIED


@pytest.mark.parametrize(
    "live",
    [
        MADE,
        changed("status", "replicas", value=0),
        changed("metadata", "resourceVersion", value="8"),
        changed("metadata", "labels", "their"),
        changed("metadata", "annotations", "counted", value="2"),
        changed("metadata", "annotations"),
        changed("metadata", "finalizers", value=["x"]),
    ],
)
def test_what_others_report_or_add_leaves_an_object_as_it_was_applied(live: Any) -> None:
    assert are_as_applied([live], [APPLIED])


@pytest.mark.parametrize(
    "live",
    [
        changed("spec", "replicas", value=2),
        changed("spec", "replicas"),
        changed("spec", "paused", value=True),
        # The API server replaces a selector as a whole, so an addition to it is drift.
        changed("spec", "selector", "matchLabels", "more", value="b"),
        changed("metadata", "labels", "app", value="b"),
        changed("metadata", "labels"),
        changed("metadata", "deletionTimestamp", value="2026-11-25T10:00:00Z"),
        changed("data", value={"a": "b"}),
        changed("metadata", "name", value="b"),
    ],
)
def test_what_somebody_changed_is_not_as_it_was_applied(live: Any) -> None:
    assert not are_as_applied([live], [APPLIED])


def test_an_object_more_or_less_is_not_as_it_was_applied() -> None:
    assert not are_as_applied([], [APPLIED])
    assert not are_as_applied([MADE, changed("metadata", "name", value="b")], [APPLIED])


# Prints made.json for `apply` and live.json for `get`, and always finds a difference.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
case " $* " in
*" apply "*) cat "$here/made.json" ;;
*" get --filename - "*) cat >"$here/named"; cat "$here/live.json" ;;
*" --all-namespaces "*)
    echo "$4" >>"$here/asked"
    ! rm "$here/unserved" 2>/dev/null ;;
*" diff "*) touch "$here/compared"; exit 2 ;;
esac
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    """A lab whose manifests were applied just now."""
    found = answered_by(KUBECTL)
    folder = Path(found.bin_dir)
    Path(found.manifests_dir).mkdir(parents=True)
    for name in ("made", "live"):
        (folder / f"{name}.json").write_text(json.dumps({"kind": "List", "items": [MADE]}))
    path = path_of(found)
    Path(path).write_text("kind: Deployment\n")
    manifests.apply(found.for_machine, path)
    return found


def path_of(settings: Settings) -> str:
    return f"{settings.manifests_dir}/components.yaml"


def was_compared(settings: Settings) -> bool:
    drift = manifest_drift(settings.for_machine, path_of(settings))
    compared = Path(settings.bin_dir, "compared")
    assert bool(drift) == compared.exists()
    return compared.exists()


def test_what_is_as_it_was_applied_is_not_compared(settings: Settings) -> None:
    assert not was_compared(settings)
    assert Path(record_file(settings, path_of(settings))).stat().st_mode & 0o777 == 0o600


def test_the_cluster_is_asked_for_the_names_on_record(settings: Settings) -> None:
    assert not was_compared(settings)
    (asked,) = json.loads(Path(settings.bin_dir, "named").read_text())["items"]
    assert asked == {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "a", "namespace": "flux-system"},
    }


def test_a_record_of_no_objects_proves_nothing(settings: Settings) -> None:
    record = Path(record_file(settings, path_of(settings)))
    record.write_text(json.dumps(json.loads(record.read_text()) | {"objects": []}))
    Path(settings.bin_dir, "live.json").write_text(json.dumps({"kind": "List", "items": []}))
    assert was_compared(settings)


def test_one_object_alone_is_as_it_was_applied_too(settings: Settings) -> None:
    for name in ("made", "live"):
        Path(settings.bin_dir, f"{name}.json").write_text(json.dumps(MADE))
    manifests.apply(settings.for_machine, path_of(settings))
    assert not was_compared(settings)


def test_other_manifests_are_compared(settings: Settings) -> None:
    Path(path_of(settings)).write_text("kind: Service\n")
    assert was_compared(settings)


def test_changed_objects_are_compared(settings: Settings) -> None:
    live = json.dumps({"kind": "List", "items": [changed("spec", "replicas", value=2)]})
    Path(settings.bin_dir, "live.json").write_text(live)
    assert was_compared(settings)


def test_where_an_object_cannot_be_seen_the_manifests_are_compared(settings: Settings) -> None:
    Path(settings.bin_dir, "live.json").unlink()
    assert was_compared(settings)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"manifests": 1, "objects": []}'])
def test_with_a_damaged_record_the_manifests_are_compared(settings: Settings, text: str) -> None:
    Path(record_file(settings, path_of(settings))).write_text(text)
    assert was_compared(settings)


def test_a_cluster_that_got_no_manifests_yet_is_not_compared_with_them(settings: Settings) -> None:
    Path(record_file(settings, path_of(settings))).unlink()
    assert manifest_drift(settings.for_machine, path_of(settings)) == [ABSENT]
    assert not Path(settings.bin_dir, "compared").exists()


def test_kinds_that_are_defined_are_asked_for_until_they_are_served(settings: Settings) -> None:
    kinds = [
        {"kind": "CustomResourceDefinition", "metadata": {"name": name}} for name in ("a.x", "b.x")
    ]
    folder = Path(settings.bin_dir)
    assert not (folder / "asked").exists()
    (folder / "made.json").write_text(json.dumps({"kind": "List", "items": [MADE, *kinds]}))
    (folder / "unserved").touch()
    manifests.apply(settings.for_machine, path_of(settings))
    assert (folder / "asked").read_text() == "a.x,b.x\n" * 2
