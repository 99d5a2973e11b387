"""How objects of the cluster are listed: what kubectl is asked for, and what becomes of its
answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.layout import GIT_REPOSITORIES, KUSTOMIZATIONS
from sopslab.model.results import Undecided

# Records its calls. Objects of kinds that are built in have no kind in a list, as in a cluster.
KUBECTL = """#!/bin/sh
echo "$*" >>"$(dirname "$0")/calls"
case "$*" in
*/secrets*) echo '{"apiVersion": "v1", "kind": "SecretList", "items":
    [{"metadata": {"managedFields": []}}]}' ;;
*/kustomizations*) echo '{"apiVersion": "g/v1", "kind": "KustomizationList", "items":
    [{"apiVersion": "g/v2", "kind": "Kustomization", "metadata": {}}]}' ;;
*" nodes "*) echo '{"kind": "List", "items": [{"apiVersion": "v1", "kind": "Node"}]}' ;;
*) echo "Error from server (NotFound): the server could not find it" >&2; exit 1 ;;
esac
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    return answered_by(KUBECTL)


def asked(settings: Settings) -> list[str]:
    """Return the calls of kubectl without its context."""
    calls = Path(settings.bin_dir, "calls").read_text().splitlines()
    return [call.split(maxsplit=2)[2] for call in calls]


def test_a_kind_that_is_listed_often_is_asked_for_by_its_path(settings: Settings) -> None:
    kubectl = Kubectl(settings)
    assert kubectl.list("secrets") == [{"apiVersion": "v1", "kind": "Secret", "metadata": {}}]
    kubectl.list("secrets", namespace="lab-ada-sys", fields="metadata.name=sops-age")
    kubectl.list("secrets", selector="sops-lab/seat", fields="metadata.namespace!=a&b,c=d")
    assert asked(settings) == [
        "get --raw /api/v1/secrets",
        "get --raw /api/v1/namespaces/lab-ada-sys/secrets?fieldSelector=metadata.name=sops-age",
        "get --raw /api/v1/secrets?labelSelector=sops-lab/seat"
        "&fieldSelector=metadata.namespace!=a%26b,c=d",
    ]


def test_each_of_several_kinds_is_asked_for_and_keeps_what_it_says_of_itself(
    settings: Settings,
) -> None:
    kinds = f"{KUSTOMIZATIONS},secrets"
    found = Kubectl(settings).list(kinds)
    assert [(one["apiVersion"], one["kind"]) for one in found] == [
        ("g/v2", "Kustomization"), ("v1", "Secret"),
    ]  # fmt: skip
    assert asked(settings) == [
        "get --raw /apis/kustomize.toolkit.fluxcd.io/v1/kustomizations",
        "get --raw /api/v1/secrets",
    ]


def test_other_kinds_are_asked_for_by_the_names_that_kubectl_knows(settings: Settings) -> None:
    found = Kubectl(settings).list("nodes", selector="a=b")
    assert found == [{"apiVersion": "v1", "kind": "Node"}]
    assert asked(settings) == ["get nodes --all-namespaces --selector a=b --output json"]


@pytest.mark.parametrize("kinds", [GIT_REPOSITORIES, f"secrets,{GIT_REPOSITORIES}", "gone"])
def test_a_kind_that_is_not_served_is_no_empty_list(settings: Settings, kinds: str) -> None:
    with pytest.raises(Undecided):
        Kubectl(settings).list(kinds)
