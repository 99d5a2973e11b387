"""Probes of what a class needs, on a real cluster of three nodes, made by hand with stock kind,
before and after network policies are enforced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.errors import LabError
from sopslab.lab.act.existing import take_on
from sopslab.lab.act.probes import probe
from sopslab.lab.observe.existing import open_questions
from sopslab.model.clusters import Questions
from tests.cluster.hand_made import (
    WORKER,
    WORKER2,
    enforce_policies,
    hand_made_cluster,
    identities,
    users_kubectl,
)
from tests.cluster.lab import Lab, lab_name, run, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

SEATS = ["ada"]
# The lab has no Git server.
ACCEPT = ["git"]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that has taken on a cluster of three nodes."""
    data = {
        "git_url": "http://git.nowhere.invalid", "git_username": "lab", "git_password": "unused",
    }  # fmt: skip
    folder = tmp_path_factory.mktemp("probes")
    with hand_made_cluster(lab_name("probes"), folder, data, workers=2) as lab:
        machine = lab.settings.for_machine
        take_on(machine, str(lab.data["kubeconfig"]))
        yield lab


def ask(lab: Lab, *accept: str) -> None:
    probe(lab.settings.for_machine, [*ACCEPT, *accept], SEATS)


def left_to_ask(lab: Lab, *accept: str) -> Questions | None:
    return open_questions(lab.settings.for_machine, [*ACCEPT, *accept], SEATS)


def admission_policies(lab: Lab) -> str:
    kinds = "validatingadmissionpolicies,validatingadmissionpolicybindings"
    said = run([*users_kubectl(lab), "get", kinds, "--output=name"], env=lab.environment)
    return said.stdout


def test_policies_that_are_only_stored_are_told_from_what_is_enforced(cluster: Lab) -> None:
    kubectl = users_kubectl(cluster)
    before, policies = identities(kubectl, cluster), admission_policies(cluster)
    assert left_to_ask(cluster) == Questions((WORKER, WORKER2), (WORKER, WORKER2), admission=True)
    with pytest.raises(LabError) as caught:
        ask(cluster)
    # Only one sentence: every cluster of this version has Pod Security and admission policies.
    (sentence,) = str(caught.value).splitlines()
    assert sentence.startswith(f"on {WORKER}, {WORKER2}, network policies are not known to be")
    assert "a pod that one shuts is reached, and a pod that one shuts reaches others" in sentence
    assert "accept: [network-policies]" in sentence

    def nothing_is_left() -> bool:
        return identities(kubectl, cluster) == before and admission_policies(cluster) == policies

    wait_until(nothing_is_left, "the probe is gone")
    assert left_to_ask(cluster) == Questions((WORKER, WORKER2), (WORKER, WORKER2), admission=True)


def test_what_is_accepted_is_asked_once(cluster: Lab) -> None:
    ask(cluster, "network-policies")
    assert left_to_ask(cluster, "network-policies") == Questions()
    assert left_to_ask(cluster) == Questions((), (WORKER, WORKER2))


def test_policies_that_are_enforced_on_each_node_are_seen_to_be(cluster: Lab) -> None:
    enforce_policies(cluster)
    ask(cluster)
    assert left_to_ask(cluster) == Questions()


def test_a_node_without_an_enforcer_is_named(cluster: Lab) -> None:
    # Remove kube-router from one node, with the rules that it has written into the kernel there.
    kubectl = users_kubectl(cluster)
    run([*kubectl, "label", "node", WORKER, "enforces=yes"], env=cluster.environment)
    patch = '{"spec":{"template":{"spec":{"nodeSelector":{"enforces":"yes"}}}}}'
    daemon = ("--namespace", "kube-system", "patch", "daemonset", "kube-router", "--patch", patch)
    run([*kubectl, *daemon], env=cluster.environment)
    rollout = ("--namespace", "kube-system", "rollout", "status", "daemonset/kube-router")
    run([*kubectl, *rollout, "--timeout=120s"], env=cluster.environment)
    run(["docker", "exec", WORKER2, "nft", "flush", "ruleset"])
    Path(cluster.settings.reach_file).unlink()
    with pytest.raises(LabError, match=f"^on {WORKER2}, network policies are not known"):
        ask(cluster)
