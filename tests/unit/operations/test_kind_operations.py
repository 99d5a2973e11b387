"""What lets strangers into a cluster is removed from it, tested by the orders to a stand-in for
kubectl."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.observe.kind import stranger_bindings
from sopslab.provision.operations import kind
from tests.fake import Applied
from tests.texts import write_program

# Has the objects of its folder, and records what it has to delete and to replace.
_KUBECTL = """#!/bin/sh
cd "$(dirname "$0")/cluster" || exit 1
[ ! -e gone ] || { echo 'connection refused' >&2; exit 1; }
case " $* " in
*" get secrets "*) cat tokens ;;
*" get --raw "*/clusterrolebindings*) cat bindings.json ;;
*" get --raw "*/rolebindings*) echo '{"items": []}' ;;
*" delete --namespace kube-system "*) while [ "${1#secret/}" = "$1" ]; do shift; done; echo "$1" ;;
*" delete "* | *" replace "*)
    verb=deleted
    case " $* " in *" replace "*) verb=replaced ;; esac
    while [ "$1" != --filename ]; do shift; done
    cat "$2" >"$verb" ;;
esac
"""

JOINS = {"kind": "Group", "name": "system:bootstrappers:kubeadm:default-node-token"}
NODES = {"kind": "Group", "name": "system:nodes"}
ANONYMOUS = {"kind": "User", "name": "system:anonymous"}
STRANGE = {
    "kubeadm:node-autoapprove-bootstrap": [JOINS],
    "anonymous": [ANONYMOUS],
    "unauthenticated": [{"kind": "Group", "name": "system:unauthenticated"}],
    "one-token": [{"kind": "User", "name": "system:bootstrap:abcdef"}],
    "all-tokens": [{"kind": "Group", "name": "system:bootstrappers"}],
}
MIXED = {"kubeadm:kubelet-config": [NODES, JOINS]}
RIGHT: dict[str, list[dict[str, str]] | None] = {
    "kubeadm:node-autoapprove-certificate-rotation": [NODES],
    "a-user": [{"kind": "User", "name": "system:anonymous-coward"}],
    "a-serviceaccount": [{"kind": "ServiceAccount", "name": "system:anonymous"}],
    "nobodys": None,
}


def binding(name: str, subjects: list[dict[str, str]] | None, role: str = "role") -> dict[str, Any]:
    """Return a binding as a list of them has it: without its kind."""
    made = {"metadata": {"name": name, "uid": "u"}, "roleRef": {"name": role}}
    return made if subjects is None else {**made, "subjects": subjects}


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    return lab()


@pytest.fixture
def cluster(settings: Settings) -> Path:
    """The folder with the objects of a cluster as kubeadm leaves it."""
    folder = Path(settings.bin_dir) / "cluster"
    folder.mkdir(parents=True)
    write_program(folder.parent / "kubectl", _KUBECTL)
    Path(settings.lab_kubeconfig).parent.mkdir(parents=True, exist_ok=True)
    Path(settings.lab_kubeconfig).write_text("apiVersion: v1\n")
    bindings = [binding(name, subjects) for name, subjects in (STRANGE | MIXED | RIGHT).items()]
    public = binding("health", [{"kind": "Group", "name": "system:unauthenticated"}],
                     "system:public-info-viewer")  # fmt: skip
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBindingList"}
    (folder / "bindings.json").write_text(json.dumps({**kind, "items": [*bindings, public]}))
    (folder / "tokens").write_text("secret/bootstrap-token-abcdef\n")
    return folder


def objects(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text())["items"]
    return {item["metadata"]["name"]: item["subjects"] for item in found}


def test_every_right_of_a_stranger_is_found_and_no_other(settings: Settings, cluster: Path) -> None:
    names = {f"ClusterRoleBinding {name}" for name in STRANGE | MIXED}
    wanted = sorted([*names, "Secret bootstrap-token-abcdef"])
    assert stranger_bindings(settings.for_machine) == wanted


def test_strangers_lose_what_they_have_and_others_keep_it(
    settings: Settings, cluster: Path
) -> None:
    done = Applied(kind.strangers, settings=settings)
    assert (done.changed, done.failed) == (True, False), done.stderr
    assert objects(cluster / "deleted") == {name: [] for name in STRANGE}
    assert objects(cluster / "replaced") == {"kubeadm:kubelet-config": [NODES]}


def test_without_a_token_and_without_such_rights_nothing_is_done(
    settings: Settings, cluster: Path
) -> None:
    (cluster / "tokens").write_text("")
    (cluster / "bindings.json").write_text('{"items": []}')
    assert stranger_bindings(settings.for_machine) == []
    done = Applied(kind.strangers, settings=settings)
    assert (done.changed, done.failed) == (False, False)


@pytest.mark.parametrize("half", ["tokens", "bindings.json"])
def test_what_cannot_be_looked_at_is_no_cluster_without_strangers(
    settings: Settings, cluster: Path, half: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster that did not answer must not be taken for one that is closed to strangers."""
    (cluster / half).unlink()
    monkeypatch.setattr(kind, "look", lambda *_: ["Secret x"])
    assert Applied(kind.strangers, settings=settings).failed
    assert not (cluster / "deleted").exists()


def test_a_cluster_that_does_not_answer_shows_no_strangers(
    settings: Settings, cluster: Path
) -> None:
    (cluster / "gone").touch()
    assert stranger_bindings(settings.for_machine) == []
