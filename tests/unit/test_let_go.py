"""Flux's own finalizers are removed where they hold up what is applied, and not from objects of
others."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import manifests

ID = "0123456789abcdef"
# The namespace flux-system is being deleted until a finalizer was removed.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
case " $* " in
*" status.phase=Terminating "*) test -e "$here/patched" || echo flux-system ;;
*" get namespaces --all-namespaces "*) cat "$here/namespaces" ;;
*" get --raw /apis/kustomize."*) cat "$here/kustomizations" ;;
*" patch "*) echo "$*" >>"$here/patched" ;;
*" apply "*) echo '{"kind": "List", "items": []}' ;;
*) echo '{"items": []}' ;;
esac
"""
# A kind of Flux is being deleted, and stays.
STUCK = """#!/bin/sh
case " $* " in
*" get customresourcedefinitions "*) echo receivers.toolkit ;;
*" get receivers.toolkit "*) ANSWER ;;
esac
"""
SPACES = ("flux-system", "lab-ada-sys", "team-a")
EXISTING = {"cluster_provider": "existing", "kubeconfig": "/k", "context": "prod"}


def going(namespace: str) -> dict[str, Any]:
    held = {"deletionTimestamp": "2027-03-01T09:00:00Z", "finalizers": ["finalizers.fluxcd.io"]}
    return {"metadata": {"namespace": namespace, "name": "apps", **held}}


@pytest.mark.parametrize(
    ("provider", "own", "let_go"),
    [(EXISTING, SPACES[:2], SPACES[:2]), (EXISTING, SPACES[1:2], SPACES[1:2]), ({}, (), SPACES)],
    ids=["existing", "with another Flux", "kind"],
)
def test_in_others_namespaces_no_finalizer_is_removed(
    provider: dict[str, str],
    own: tuple[str, ...],
    let_go: tuple[str, ...],
    answered_by: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings = answered_by(KUBECTL, **provider)
    labels = {"sops-lab": "lab", "sops-lab/id": ID}
    told = {
        "namespaces": [
            {"metadata": {"name": name, "uid": name, "labels": labels if name in own else {}}}
            for name in SPACES
        ],
        "kustomizations": [going(name) for name in SPACES],
    }
    for name, items in told.items():
        Path(settings.bin_dir, name).write_text(json.dumps({"items": items}))
    Path(settings.id_file).write_text(ID)
    path = Path(settings.lab_dir, "components.yaml")
    path.write_text("kind: Service\nmetadata:\n  namespace: flux-system\n")
    monkeypatch.setattr(time, "sleep", lambda _: None)
    manifests.apply(settings.for_machine, str(path))
    patched = Path(settings.bin_dir, "patched").read_text().splitlines()
    assert [line.split()[3] for line in patched] == list(let_go)


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("echo receivers.toolkit/lab", "receivers.toolkit/lab"),
        ("exit 0", "the API server does not tell what holds it"),
        ("exit 1", "the API server does not tell what holds it"),
    ],
)
def test_what_holds_a_kind_is_named_or_said_to_be_unknown(
    answer: str, holds: str, answered_by: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = answered_by(STUCK.replace("ANSWER", answer))
    path = Path(settings.lab_dir, "components.yaml")
    path.write_text("kind: CustomResourceDefinition\nmetadata:\n  name: receivers.toolkit\n")
    monkeypatch.setattr(manifests, "_ENDING_S", 0)
    with pytest.raises(LabError, match=f"it is not gone: {holds}. Whoever put a finalizer there"):
        manifests.apply(settings.for_machine, str(path))
