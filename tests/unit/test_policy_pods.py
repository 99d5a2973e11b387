"""What probe pods find out about network policies, read from what clusters report about the
pods."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from sopslab.checks.policy_pods import (
    Trial,
    asked_of,
    askers,
    deny_all,
    standing,
    targets,
    trials,
    verdict,
)
from tests.unit.test_probe_pods import IMAGES, ended, waiting

PORT = 9440
_SAID = (
    '{"level":"error","logger":"setup","msg":"unable to create controller","controller":"Receiver",'
    '"error":"failed to get server groups: Get \\"https://10.244.1.3:9440/api\\": REASON"}'
)


def attempt(reason: str) -> dict[str, Any]:
    """Return how a notification controller ends, as the kubelet reports it."""
    return ended(_SAID.replace("REASON", reason))


THROUGH = attempt("net/http: TLS handshake timeout")
DROPPED = attempt("dial tcp 10.244.1.3:9440: i/o timeout")
REJECTED = attempt("dial tcp 10.244.1.3:9440: connect: connection refused")
RUNNING: dict[str, Any] = {"running": {}}
ALONE, PAIR = Trial(0, "one", None), Trial(0, "one", (1, "two"))
GOOD = {
    "near-0": {"open-0": THROUGH, "shut-0": DROPPED},
    "far-0": {"open-0": THROUGH, "shut-0": REJECTED},
    "out-0": {"open-0": DROPPED, "open-1": DROPPED},
}


def container(name: str, state: dict[str, Any], last: Any = None, count: int = 0) -> dict[str, Any]:
    return {
        "name": name, "image": IMAGES[2], "state": state, "lastState": last or {},
        "restartCount": count,
    }  # fmt: skip


def listening(*names: str, ready: str = "True") -> dict[str, Any]:
    status = {"conditions": [{"type": "Ready", "status": ready}], "podIP": "10.244.1.3"}
    return {name: {"metadata": {"name": name}, "status": status} for name in names}


def asking(heard: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return pods by name, with the states of the containers that ask."""
    return [
        {
            "metadata": {"name": name},
            "status": {
                "containerStatuses": [
                    one if "name" in one else container(target, one)
                    for target, one in asked.items()
                ]
            },
        }
        for name, asked in heard.items()
    ]


def by_name(*pods: dict[str, Any]) -> dict[str, Any]:
    return {pod["metadata"]["name"]: pod for pod in pods}


def judged(other: Mapping[str, Any] | None = None, trial: Trial = PAIR) -> str | None:
    """Return the verdict if all is well, except for these other states."""
    heard = {name: {**asked, **(other or {}).get(name, {})} for name, asked in GOOD.items()}
    return verdict(trial, {**listening(*asked_of(trial)), **by_name(*asking(heard))})


def test_a_node_that_shuts_and_lets_through_is_fine() -> None:
    assert judged() == ""
    assert judged(trial=ALONE) == ""


@pytest.mark.parametrize(
    ("pods", "said"),
    [
        ({"near-0": {"shut-0": THROUGH}}, "a pod that one shuts is reached"),
        ({"far-0": {"shut-0": THROUGH}}, "a pod that one shuts is reached"),
        ({"out-0": {"open-0": THROUGH}}, "a pod that one shuts reaches others"),
        ({"out-0": {"open-1": THROUGH}}, "a pod that one shuts reaches others"),
        (
            {"near-0": {"shut-0": THROUGH}, "out-0": {"open-0": THROUGH}},
            "a pod that one shuts is reached, and a pod that one shuts reaches others",
        ),
        ({"near-0": {"open-0": DROPPED}}, "pods do not reach each other"),
        ({"far-0": {"open-0": REJECTED}}, "(the connection is refused)"),
        ({"far-0": {"shut-0": ended("panic")}}, "is not known"),
        ({"far-0": {"open-0": ended("panic")}}, "is not known"),
    ],
)
def test_what_ends_otherwise_twice_is_believed_and_once_is_not(
    pods: dict[str, dict[str, Any]], said: str
) -> None:
    again = {
        name: {target: container(target, end, count=1) for target, end in asked.items()}
        for name, asked in pods.items()
    }
    found = judged(again)
    assert found is not None
    assert said in found
    assert judged(pods) is None


@pytest.mark.parametrize(
    ("state", "last", "count"),
    [(waiting("CrashLoopBackOff"), THROUGH, 1), (RUNNING, THROUGH, 2), (THROUGH, THROUGH, 1)],
)
def test_attempts_are_counted_whatever_the_container_does_now(
    state: dict[str, Any], last: dict[str, Any], count: int
) -> None:
    def shut(number: int) -> dict[str, Any]:
        return {"shut-0": container("shut-0", state, last, number)}

    assert judged({"near-0": shut(count)}) == "a pod that one shuts is reached"
    assert judged({"near-0": shut(count - 1)}) is None
    # The last attempt counts.
    assert judged({"near-0": {"shut-0": container("shut-0", RUNNING, DROPPED, count)}}) == ""


def test_who_asks_and_is_not_done_decides_nothing() -> None:
    assert judged({"near-0": {"open-0": RUNNING}}) is None
    pods = {**listening(*asked_of(PAIR)), **by_name(*asking(GOOD))}
    for name in GOOD:
        assert verdict(PAIR, {key: one for key, one in pods.items() if key != name}) is None


@pytest.mark.parametrize("gone", [{}, listening("shut-0", ready="False")])
def test_that_nobody_reaches_a_pod_that_is_not_there_proves_nothing(gone: dict[str, Any]) -> None:
    there = {**listening("open-0", "open-1"), **gone}
    assert verdict(PAIR, {**there, **by_name(*asking(GOOD))}) is None


def test_a_pod_that_the_kubelet_refuses_decides_at_once() -> None:
    refused = {"status": {"phase": "Failed", "reason": "OutOfpods"}}
    pods = {**listening(*asked_of(PAIR)), **by_name(*asking(GOOD)), "far-0": refused}
    assert verdict(PAIR, pods) == "no pod is started (OutOfpods)"
    assert standing(refused) == "no pod is started (OutOfpods)"


def test_who_is_asked_has_to_listen_first() -> None:
    (ready,) = listening("open-0").values()
    (starting,) = listening("open-0", ready="False").values()
    assert standing(ready) == ""
    assert standing(starting) is None
    assert standing(None) is None
    pulling = {"status": {"containerStatuses": [container("a", waiting("ImagePullBackOff"))]}}
    assert "cannot be pulled" in (standing(pulling) or "")


def test_each_node_is_tried_with_the_next_one() -> None:
    usable = ["one", "two", "three"]
    found = trials(["one", "three"], usable)
    assert [(one.node, one.other) for one in found] == [("one", (1, "two")), ("three", (0, "one"))]
    assert trials(["one"], ["one"]) == [ALONE]


def questions_of(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the servers that a pod's containers ask."""
    named = pod["metadata"]["annotations"]
    files = {
        item["path"]: item["fieldRef"]["fieldPath"].split("'")[1]
        for item in pod["spec"]["volumes"][1]["downwardAPI"]["items"]
    }
    for one in pod["spec"]["containers"]:
        path = next(each["value"] for each in one["env"] if each["name"] == "KUBECONFIG")
        (cluster,) = json.loads(named[files[path.rpartition("/")[2]]])["clusters"]
        yield cluster["cluster"]["server"]


def test_pods_ask_from_the_node_and_from_another_one() -> None:
    tried = trials(["one"], ["one", "two"])
    asked = targets(tried, IMAGES)
    where = {pod["metadata"]["name"]: pod["spec"]["nodeName"] for pod in asked}
    assert where == {"open-0": "one", "open-1": "two", "shut-0": "one"}
    assert set(where) == set(asked_of(tried[0]))
    addresses = {"open-0": "10.0.0.1", "open-1": "fd00::2", "shut-0": "10.0.0.3"}
    there = {name: {"status": {"podIP": address}} for name, address in addresses.items()}
    made = {pod["metadata"]["name"]: pod for pod in askers(tried, there, IMAGES)}
    assert {name: pod["spec"]["nodeName"] for name, pod in made.items()} == {
        "near-0": "one", "far-0": "two", "out-0": "one",
    }  # fmt: skip
    both = [f"https://10.0.0.1:{PORT}", f"https://10.0.0.3:{PORT}"]
    assert list(questions_of(made["near-0"])) == both
    assert list(questions_of(made["far-0"])) == both
    assert list(questions_of(made["out-0"])) == [
        f"https://10.0.0.1:{PORT}",
        f"https://[fd00::2]:{PORT}",
    ]


def test_the_policy_shuts_those_that_are_to_be_shut() -> None:
    policy = deny_all()["spec"]
    assert (policy["policyTypes"], set(policy)) == (
        ["Ingress", "Egress"],
        {"podSelector", "policyTypes"},
    )
    chosen = policy["podSelector"]["matchLabels"].items()
    tried = trials(["one"], ["one", "two"])
    there = {name: {"status": {"podIP": "10.0.0.1"}} for name in asked_of(tried[0])}
    pods = [*targets(tried, IMAGES), *askers(tried, there, IMAGES)]
    shut = [pod["metadata"]["name"] for pod in pods if chosen <= pod["metadata"]["labels"].items()]
    assert shut == ["shut-0", "out-0"]


def test_who_is_asked_waits_for_itself_and_says_when_it_listens() -> None:
    (opened, _) = targets(trials(["one"], ["one"]), IMAGES)
    (one,) = opened["spec"]["containers"]
    assert list(questions_of(opened)) == [f"http://127.0.0.1:{PORT}"]
    assert f"--health-addr=:{PORT}" in one["args"]
    assert one["readinessProbe"]["tcpSocket"]["port"] == PORT
    assert one["image"] == IMAGES[2]
