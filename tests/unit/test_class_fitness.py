"""What an existing cluster lacks for a class: room for its seats, and what separates them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from sopslab.checks import git_pod
from sopslab.checks.class_clusters import (
    find_class_problems,
    find_enforcement_problems,
    questions,
    whole_quotas,
)
from sopslab.checks.clusters import REQUESTS, refused
from sopslab.files.render import render_tree
from sopslab.files.seat_limits import seat_limits
from sopslab.layout import PLATFORM
from sopslab.model.clusters import (
    ACCEPTABLE,
    CLASS_POLICIES,
    CLASS_ROLES,
    CLUSTER_DNS,
    NODE_DNS,
    Admission,
    ClusterNode,
    ClusterTraits,
    Flux,
    NodeReach,
    Questions,
    Reach,
    SeatLimits,
    Share,
)
from sopslab.model.rights import Right

LIMITS = SeatLimits(quota=Share(250, 256, 5), pod=Share(10, 16, 1))
FLUX_CPU_M, FLUX_MIB = (sum(column) for column in zip(*REQUESTS, strict=True))
SEATS = 7
PLURALS = {
    "ClusterRole": "clusterroles",
    "ValidatingAdmissionPolicy": "validatingadmissionpolicies",
    "ValidatingAdmissionPolicyBinding": "validatingadmissionpolicybindings",
}


def node(name: str, small: int = SEATS, **less: int) -> ClusterNode:
    """Return a node with room for Flux and for `small` small pods."""
    cpu, memory = FLUX_CPU_M + 10 * small, FLUX_MIB + 16 * small
    whole = ClusterNode(name, "amd64", usable=True, cpu_m=cpu, memory_mib=memory, pods=3 + small)
    return replace(whole, **{name: getattr(whole, name) - less[name] for name in less})


FIT = ClusterTraits(asked=True, version="v1.37.0", nodes=(node("one"),), new_seats=SEATS, denied=())


def said(traits: ClusterTraits, *accept: str) -> list[str]:
    return refused(find_class_problems(traits, LIMITS), frozenset(accept))


def test_a_cluster_with_room_for_a_small_pod_of_each_seat_passes() -> None:
    assert said(FIT) == []


@pytest.mark.parametrize("less", [{"cpu_m": 1}, {"memory_mib": 1}, {"pods": 1}])
def test_a_cluster_without_room_for_a_small_pod_of_each_seat_is_refused(
    less: dict[str, int],
) -> None:
    traits = replace(FIT, nodes=(node("one", **less),))
    (sentence,) = said(traits)
    assert "room for 6 small pods" in sentence
    assert "gets 7 new seats" in sentence
    assert said(traits, "room") == []


def test_what_is_left_on_two_nodes_is_not_added_up_to_a_pod() -> None:
    halves = (node("one", small=6), replace(node("two", small=6), cpu_m=5, memory_mib=8))
    assert "room for 6 small pods" in said(replace(FIT, nodes=halves))[0]
    assert said(replace(FIT, nodes=(node("one", small=6), node("two", small=1)))) == []
    # What one node lacks is not subtracted from another.
    overdrawn = replace(node("two"), pods=-5, cpu_m=-100)
    assert said(replace(FIT, nodes=(node("one"), overdrawn))) == []
    kept_off = replace(node("two", small=1), usable=False)
    assert len(said(replace(FIT, nodes=(node("one", small=6), kept_off)))) == 1


def test_where_flux_has_no_room_the_seats_are_not_counted_as_well() -> None:
    assert said(replace(FIT, nodes=(replace(node("one"), pods=2),))) == []
    assert said(replace(FIT, nodes=None)) == []
    assert said(replace(FIT, nodes=())) == []


def test_where_the_labs_flux_is_there_the_nodes_alone_are_counted() -> None:
    small = replace(node("one"), pods=SEATS)
    assert said(replace(FIT, nodes=(small,), flux=Flux.OURS)) == []
    assert len(said(replace(FIT, nodes=(replace(small, pods=SEATS - 1),), flux=Flux.OURS))) == 1


def test_seats_that_the_class_has_already_need_no_more_room() -> None:
    full = replace(node("one"), cpu_m=5, memory_mib=-40, pods=0)
    there = replace(FIT, nodes=(full,), flux=Flux.OURS, new_seats=0)
    assert said(there) == []
    assert "room for 0 small pods" in said(replace(there, new_seats=1))[0]
    # If the namespaces are not seen, that is said by itself.
    assert said(replace(there, new_seats=None)) == []


@pytest.mark.parametrize("less", [{"cpu_m": 1}, {"memory_mib": 1}, {"pods": 1}])
def test_room_for_the_git_server_is_counted_before_that_for_seats(less: dict[str, int]) -> None:
    cpu, memory = git_pod.REQUESTS
    larger = {"cpu_m": -cpu, "memory_mib": -memory, "pods": -1}
    traits = replace(FIT, nodes=(node("one", **larger),), lacks_git=True)
    assert said(traits) == []
    smaller = {name: larger[name] + less.get(name, 0) for name in larger}
    (sentence,) = said(replace(traits, nodes=(node("one", **smaller),)))
    assert "room for 6 small pods" in sentence


def test_how_many_could_use_their_whole_quota_is_counted_beside_flux() -> None:
    big = ClusterNode("one", "amd64", usable=True, cpu_m=1249, memory_mib=1200, pods=28)
    assert whole_quotas(replace(FIT, nodes=(big,)), LIMITS.quota) == 3
    assert whole_quotas(replace(FIT, nodes=(big, replace(big, name="b"))), LIMITS.quota) == 8
    assert whole_quotas(replace(FIT, nodes=(replace(big, pods=12),)), LIMITS.quota) == 1
    overdrawn = replace(big, name="b", cpu_m=-900, memory_mib=-900, pods=-9)
    assert whole_quotas(replace(FIT, nodes=(big, overdrawn)), LIMITS.quota) == 3
    assert whole_quotas(replace(FIT, nodes=None), LIMITS.quota) is None
    # There, Flux has its room already.
    assert whole_quotas(replace(FIT, nodes=(big,), flux=Flux.OURS), LIMITS.quota) == 4
    assert whole_quotas(replace(FIT, nodes=None, flux=Flux.OURS), LIMITS.quota) is None
    assert whole_quotas(replace(FIT, nodes=(big,), lacks_git=True), LIMITS.quota) == 2


def test_the_limits_are_those_that_every_seat_gets() -> None:
    limits = seat_limits()
    # All pods of a seat together keep to its quota.
    assert limits.pod.pods == 1
    assert 0 < limits.pod.cpu_m * limits.quota.pods <= limits.quota.cpu_m
    assert 0 < limits.pod.memory_mib * limits.quota.pods <= limits.quota.memory_mib


def test_what_another_class_made_is_named_and_cannot_be_accepted() -> None:
    theirs = replace(FIT, shared=("ClusterRole sops-lab-learner",))
    (sentence,) = said(theirs)
    assert "another class" in sentence
    assert "ClusterRole sops-lab-learner" in sentence
    assert said(theirs, *ACCEPTABLE) == [sentence]
    assert "does not say whether it has another class" in said(replace(FIT, shared=None))[0]
    assert said(replace(FIT, shared=None, denied=(Right("get", "", "pods"),))) == []


def test_what_a_class_has_in_no_namespace_is_looked_for_by_name() -> None:
    folder = PLATFORM / "clusters" / "lab" / "classroom"
    values = {"git_url": "", "lab": "", "lab_id": None, "tenant_base_tag": ""}
    made = [
        f"{PLURALS[one['kind']]}/{one['metadata']['name']}"
        for path, file in render_tree(folder, values).items()
        if path != "kustomization.yaml"
        for one in yaml.safe_load_all(file.content)
        if "namespace" not in one["metadata"]
    ]
    assert sorted(made) == sorted([*CLASS_ROLES, *CLASS_POLICIES])


@pytest.mark.parametrize(
    ("policies", "part"),
    [(False, "has no ValidatingAdmissionPolicies"), (None, "does not say whether it has Val")],
)
def test_a_cluster_without_admission_policies_is_refused(policies: bool | None, part: str) -> None:
    (sentence,) = said(replace(FIT, policies=policies))
    assert part in sentence
    assert said(replace(FIT, policies=policies), "admission-policies") == []


@pytest.mark.parametrize(
    ("dns", "part"),
    [
        ((), "no pod in kube-system has the label"),
        ((NODE_DNS,), "no pod in kube-system has the label"),
        ((CLUSTER_DNS, NODE_DNS), "a cache on each node answers"),
        (None, "does not say what answers DNS"),
    ],
)
def test_a_cluster_in_which_a_class_would_find_no_names_is_refused(
    dns: tuple[str, ...] | None, part: str
) -> None:
    traits = replace(FIT, dns=dns)
    assert part in said(traits)[0]
    assert said(traits, "dns") == []


@pytest.mark.parametrize("traits", [ClusterTraits(), ClusterTraits(asked=True, unseen="it is off")])
def test_a_cluster_that_was_not_seen_is_not_judged(traits: ClusterTraits) -> None:
    assert said(replace(traits, policies=False, dns=())) == []


def test_what_is_not_enforced_is_said_by_its_name() -> None:
    nodes = {
        "a": NodeReach(policies="a shut pod is reached"),
        "b": NodeReach(policies=""),
        "c": NodeReach(policies="a shut pod is reached"),
        "d": NodeReach(git="it has no TLS"),
    }
    problems = find_enforcement_problems(nodes, Admission("is not refused", "is let through"))
    assert [one.probe for one in problems] == [
        "network-policies",
        "pod-security",
        "admission-policies",
    ]
    assert problems[0].found.startswith("on a, c, network policies are not known to be enforced:")
    assert "a privileged pod is not refused" in problems[1].found
    assert find_enforcement_problems({"b": nodes["b"]}, Admission()) == []
    assert find_enforcement_problems({}, None) == []


WANTED = Reach("uid-1", ("x:1",), "http://git.example", {})
FLAT = NodeReach(policies="a shut pod is reached")


def asked(known: Reach | None, *accept: str, seats: tuple[str, ...] = ("ada",)) -> Questions:
    return questions(["a", "b"], WANTED, known, accept, seats)


@pytest.mark.parametrize(
    ("changes", "accept", "left"),
    [
        ({}, [], Questions()),
        ({"admission": None}, [], Questions(admission=True)),
        ({"admission": Admission(policies="no")}, [], Questions(admission=True)),
        ({"admission": Admission(policies="no")}, ["pod-security"], Questions(admission=True)),
        ({"admission": Admission(policies="no")}, ["admission-policies"], Questions()),
        ({"admission": Admission("no")}, ["pod-security"], Questions()),
        ({"nodes": {"a": NodeReach(policies="")}}, [], Questions(("b",), ("b",))),
        ({"nodes": {"a": FLAT, "b": NodeReach()}}, [], Questions((), ("a", "b"))),
        ({"nodes": {"a": FLAT, "b": NodeReach()}}, ["network-policies"], Questions((), ("b",))),
        ({"images": ("x:2",)}, [], Questions(("a", "b"), ("a", "b"), admission=True)),
    ],
)
def test_a_class_asks_what_is_not_on_record_or_not_accepted(
    changes: dict[str, Any], accept: list[str], left: Questions
) -> None:
    both = {name: NodeReach(policies="") for name in ("a", "b")}
    known = replace(WANTED, **{"nodes": both, "admission": Admission(), **changes})
    assert asked(known, *accept) == left


def test_a_lab_without_a_class_asks_nothing_that_only_a_class_needs() -> None:
    known = replace(WANTED, nodes={"a": FLAT, "b": NodeReach()}, admission=Admission("no", "no"))
    assert asked(known, seats=()) == Questions()
    assert asked(None, seats=()) == Questions(("a", "b"))
    assert asked(None) == Questions(("a", "b"), ("a", "b"), admission=True)
