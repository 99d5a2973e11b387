"""The differences between cluster and manifests: what is drift, and what only looks like it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.act.manifests import holders
from sopslab.lab.observe.applied import record_file
from sopslab.lab.observe.manifests import manifest_drift, missing, specified
from sopslab.lab.tools.manifests import documents, joined

LIVE = """apiVersion: apps/v1
kind: Deployment
metadata:
  generation: 3
  name: a
  resourceVersion: "7"
spec:
  generation: of ours
  replicas: 1
status:
  replicas: 1

  conditions:
  - status: "True"
"""
# Has $here/live and $here/merged compared by the program that kubectl would call.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
case " $* " in
*" diff "*)
    cat "$here/errors" >&2
    [ ! -s "$here/errors" ] || exit 2
    "$KUBECTL_EXTERNAL_DIFF" "$here/live" "$here/merged" ;;
*" namespaces "*) cat "$here/ending" 2>/dev/null || true ;;
*" customresourcedefinitions --selector app.kubernetes.io/part-of=flux "*)
    cat "$here/ending-kinds" 2>/dev/null || true ;;
esac
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    found = answered_by(KUBECTL)
    folder = Path(found.bin_dir)
    (folder / "errors").touch()
    for name in ("live", "merged"):
        (folder / name).mkdir()
        (folder / name / "apps.v1.Deployment.a").write_text(LIVE)
    (folder / "manifests.yaml").write_text("kind: Deployment\nmetadata:\n  namespace: develop\n")
    # Other manifests were applied earlier.
    record = Path(record_file(found, "manifests.yaml"))
    record.parent.mkdir(parents=True)
    record.write_text("{}")
    return found


def drift(settings: Settings) -> list[str]:
    return manifest_drift(settings.for_machine, f"{settings.bin_dir}/manifests.yaml")


def change(settings: Settings, folder: str, old: str, new: str) -> None:
    path = Path(settings.bin_dir, folder, "apps.v1.Deployment.a")
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def test_what_somebody_asked_for_is_drift_and_what_is_reported_is_not(settings: Settings) -> None:
    assert drift(settings) == []
    change(settings, "live", "  replicas: 1\n\n", "  replicas: 0\n\n")
    change(settings, "live", "generation: 3", "generation: 2")
    change(settings, "merged", '"7"', '"8"')
    assert drift(settings) == []
    change(settings, "live", "  replicas: 1\nstatus", "  replicas: 2\nstatus")
    assert drift(settings) == ["apps.v1.Deployment.a"]


def test_an_object_that_is_not_there_is_named(settings: Settings) -> None:
    Path(settings.bin_dir, "live/apps.v1.Deployment.a").unlink()
    Path(settings.bin_dir, "live/other").write_text("a: 1\n")
    Path(settings.bin_dir, "merged/other").write_text("a: 1\n")
    assert drift(settings) == ["apps.v1.Deployment.a"]


def test_a_namespace_that_is_being_deleted_counts_if_the_manifests_name_it(
    settings: Settings,
) -> None:
    Path(settings.bin_dir, "ending").write_text("develop\nelsewhere\n")
    assert drift(settings) == ["the namespace develop is being deleted"]


def test_a_kind_of_flux_that_is_being_deleted_counts_if_the_manifests_define_it(
    settings: Settings,
) -> None:
    kind = "kind: CustomResourceDefinition\nmetadata:\n  name: receivers.toolkit\n"
    Path(settings.bin_dir, "manifests.yaml").write_text(kind)
    Path(settings.bin_dir, "ending-kinds").write_text("receivers.toolkit\nbuckets.toolkit\n")
    assert drift(settings) == ["the kind receivers.toolkit is being deleted"]


def test_what_kubectl_cannot_compare_is_absent(settings: Settings) -> None:
    said = 'Error from server (NotFound): namespaces "develop" not found\n'
    Path(settings.bin_dir, "errors").write_text(said)
    assert drift(settings) == ["absent", "the namespace develop is missing"]
    Path(settings.lab_kubeconfig).unlink()
    assert drift(settings) == ["absent"]


def test_what_is_missing_is_told_once_and_flux_itself_is_not() -> None:
    lines = [
        'error: no matches for kind "Receiver" in version "x"',
        'namespaces "flux-system" not found',
        'namespaces "b" not found',
        'namespaces "b" not found',
        "something else",
    ]
    assert missing(lines) == ["the kind Receiver is missing", "the namespace b is missing"]


def test_only_the_status_at_the_top_is_left_out() -> None:
    text = b"spec:\n  status: of ours\nstatus:\n  a: 1\nkind: x\n"
    assert specified(text) == [b"spec:", b"  status: of ours", b"kind: x"]


def test_of_what_holds_a_namespace_names_and_numbers_are_told() -> None:
    def said(message: str, status: str = "True") -> dict[str, str]:
        return {"status": status, "message": message}

    found = {
        "status": {
            "conditions": [
                said("Some resources are remaining: pods. has 1 resource instances, a.b has 2"
                     " resource instances"),
                said("finalizers remaining: example.org/held in 3 resource instances"),
                said("secret in 4 resource instances", "False"),
            ]
        }
    }  # fmt: skip
    assert holders(found) == (
        "held by pods. in 1 resource instances, a.b in 2 resource instances, example.org/held in 3"
        " resource instances"
    )
    assert holders({}) == "the API server does not tell what holds it"


def test_documents_are_told_by_their_borders() -> None:
    text = b"---\na: 1\n---\nb: |\n  ---\n\n---\n\n---\nc: 3"
    assert documents(text) == [b"a: 1\n", b"b: |\n  ---\n", b"c: 3\n"]
    assert documents(joined(documents(text))) == documents(text)
