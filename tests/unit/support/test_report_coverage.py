"""A report on a lab in a cluster of others tells nothing of what they have there."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.support import secrets
from sopslab.lab.support.collecting import pieces
from sopslab.lab.support.coverage import cover
from sopslab.model.results import Undecided

ID = "0123456789abcdef"
# Has a namespace of somebody else's, which it shows whenever it is not told to leave that out.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
echo "$*" >>"$here/calls"
case " $* " in
*" get namespace kube-system "*) echo '{"metadata": {"uid": "1"}}' ;;
*" get namespace sops-lab-git-lab "*) cat "$here/git" ;;
*" get namespaces --all-namespaces "*) cat "$here/namespaces" ;;
*" get namespaces --selector  --output name "*)
    printf 'namespace/%s\\n' team-a flux-system sops-lab-git-lab ;;
*" get namespaces --show-labels --"*|*" get namespaces --show-labels ") echo team-a ;;
*"/secrets?fieldSelector=metadata.namespace!=team-a "*) cat "$here/secrets" ;;
*metadata.namespace!=team-a*|*" --namespace flux-system "*|*" --namespace sops-lab-git-lab "*)
    echo "what is the lab's" ;;
*" get nodes "*|*" version"*|*" get namespaces "*) echo "what all may know" ;;
*) echo team-a ;;
esac
"""
ELSEWHERE = {
    "cluster_provider": "existing", "kubeconfig": "/k", "context": "prod",
    "registry": "r.example", "git_in_cluster": {"host": "g.example", "port": 30443},
}  # fmt: skip


def labels(key: str, identity: str = ID) -> dict[str, str]:
    return {key: "lab", "sops-lab/id": identity}


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    found = answered_by(KUBECTL, **ELSEWHERE)
    Path(found.id_file).write_text(ID)
    spaces = {"flux-system": labels("sops-lab"), "team-a": {}}
    told = [{"metadata": {"name": name, "labels": given}} for name, given in spaces.items()]
    say(found, "namespaces", {"items": told})
    say(found, "git", {"metadata": {"labels": labels("sops-lab-git")}})
    value = base64.b64encode(b"open sesame").decode()
    where = {"namespace": "flux-system", "name": "s"}
    say(found, "secrets", {"items": [{"metadata": where, "data": {"password": value}}]})
    return found


def say(settings: Settings, name: str, what: object) -> None:
    Path(settings.bin_dir, name).write_text(json.dumps(what))


def told(settings: Settings) -> dict[str, str]:
    """Return what a report tells of the cluster, by file; why not, where it does not."""
    found = {}
    with ThreadPoolExecutor(1) as executor:
        for piece in pieces(settings, executor, executor.submit(cover, settings)):
            if piece.name.startswith(("cluster/", "flux/")):
                try:
                    found[piece.name] = piece.look().decode()
                except Undecided as reason:
                    found[piece.name] = f"not: {reason}"
    return found


def test_it_has_what_is_the_labs_and_nothing_of_others(settings: Settings) -> None:
    found = told(settings)
    assert "team-a" not in "".join(found.values())
    for name in ("pods.txt", "secrets.txt", "events.txt", "git.log"):
        assert found[f"cluster/{name}"] == "what is the lab's\n"
    assert found["flux/kustomizations.yaml"] == "what is the lab's\n"
    calls = Path(settings.bin_dir, "calls").read_text()
    assert " get namespaces --show-labels flux-system sops-lab-git-lab\n" in calls


def test_of_a_lab_that_is_not_there_it_has_nothing(settings: Settings) -> None:
    say(settings, "namespaces", {"items": []})
    say(settings, "git", {"metadata": {"labels": labels("sops-lab-git", "fedcba9876543210")}})
    found = told(settings)
    assert "team-a" not in "".join(found.values())
    assert found["cluster/namespaces.txt"] == ""
    assert found["flux/deployments.yaml"].startswith("not: the namespace flux-system is not")
    assert found["cluster/git.log"].startswith("not: the namespace sops-lab-git-lab is not")


def test_where_it_is_not_known_what_is_the_labs_that_is_said(settings: Settings) -> None:
    Path(settings.bin_dir, "namespaces").unlink()
    found = told(settings)
    assert found["cluster/version.txt"] == found["cluster/nodes.txt"] == "what all may know\n"
    assert found["cluster/secrets.txt"].startswith("not: the cluster does not say")


def test_only_values_of_the_labs_secrets_are_looked_at(settings: Settings) -> None:
    found = secrets.in_cluster(settings, cover(settings))
    assert [one.value for one in found] == [b"open sesame"]
