"""A class at work on three nodes, one of which goes: drained by its owner, or dead."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.content import kubectl
from tests.cluster.hand_made import connect_pods, lab_on_three_nodes
from tests.cluster.isolation.hostile import Hostile, as_before, deployment
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.traffic import Traffic

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

# Seconds for a delivery once Flux is at work again, and for a look at any time.
IN_TIME, LOOK = 30.0, 30.0


@pytest.fixture(scope="module")
def spread(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A class on three nodes."""
    with lab_on_three_nodes(lab_name("spread"), tmp_path_factory.mktemp("spread")) as lab:
        made = Classroom(lab)
        made.up()
        yield made


@pytest.fixture
def learners(spread: Classroom, tmp_path: Path) -> Iterator[list[Hostile]]:
    """All learners, each with pods on both nodes that take them."""
    found = [Hostile(spread, seat, tmp_path) for seat in SEATS]
    with as_before(*found):
        for learner in found:
            learner.publish(web())
        for learner in found:
            await_pods(learner)
        nodes = {pod["spec"]["nodeName"] for one in found for pod in one.owns("pods")}
        assert nodes == set(Traffic(spread.lab).workers)
        yield found


def web() -> dict[str, Any]:
    """Return a Deployment of two pods, which run on two nodes if there are two."""
    labels = {"matchLabels": {"app": "web"}}
    spread = {
        "maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "labelSelector": labels,
        "whenUnsatisfiable": "ScheduleAnyway",
    }  # fmt: skip
    return deployment("web", 2, topologySpreadConstraints=[spread])


def await_pods(learner: Hostile) -> None:
    def available() -> bool:
        found = learner.owns("deployments")
        return bool(found) and found[0]["status"].get("availableReplicas") == 2

    wait_until(available, f"the pods of {learner.seat} are ready", 90)


def in_bounded_time(lab: Lab, *arguments: str) -> tuple[int, dict[str, Any]]:
    """Run a verb that looks; return its exit code and its answer."""
    started = time.monotonic()
    done = lab.sopslab(*arguments, "--json", check=False)
    assert time.monotonic() - started < LOOK
    answer: dict[str, Any] = json.loads(done.stdout)
    return done.returncode, answer


def _flux(lab: Lab) -> dict[str, Any]:
    """Return what `status` says about Flux's controllers."""
    _, answer = in_bounded_time(lab, "status")
    (part,) = [part for part in answer["parts"] if part["name"] == "flux"]
    return dict(part)


def is_elsewhere(lab: Lab, node: str) -> Callable[[], bool]:
    """Return a condition: Flux runs, and none of its pods is on that node."""

    def elsewhere() -> bool:
        if not _flux(lab)["up"]:
            return False
        pods = json.loads(lab.kubectl("-n", "flux-system", "get", "pods", "-o", "json"))["items"]
        running = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
        return all(pod["spec"]["nodeName"] != node for pod in running)

    return elsewhere


def assert_served(learners: Iterable[Hostile]) -> None:
    """Check that a push of each learner arrives in time, and that their pods run."""
    for learner in learners:
        assert learner.delivers(IN_TIME, web()) < IN_TIME
        await_pods(learner)


@contextmanager
def drained(lab: Lab, node: str) -> Iterator[None]:
    """Drain a node, as its owner does, for the block; afterwards it takes pods again."""
    try:
        leave = ("--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s")
        kubectl(lab, "drain", node, *leave)
        yield
    finally:
        kubectl(lab, "uncordon", node)


def test_a_node_that_is_drained_leaves_the_class_at_work(
    spread: Classroom, learners: list[Hostile]
) -> None:
    lab = spread.lab
    node = Traffic(lab).controller("kustomize-controller")[0].node
    with drained(lab, node):
        wait_until(is_elsewhere(lab, node), "Flux is on another node", 60)
        assert_served(learners)
        assert spread.up()["changed"] == 0
    assert in_bounded_time(lab, "status")[0] == 0


@contextmanager
def _dead(lab: Lab, node: str) -> Iterator[None]:
    """Switch a node's machine off for the block, and on again afterwards."""
    run(["docker", "kill", node])
    try:
        yield
    finally:
        run(["docker", "start", node])
        kubectl(lab, "wait", f"node/{node}", "--for=condition=Ready", "--timeout=120s")
        connect_pods(lab)


def test_a_node_that_dies_is_named_and_the_class_goes_on_without_it(
    spread: Classroom, learners: list[Hostile]
) -> None:
    lab = spread.lab
    node = Traffic(lab).controller("kustomize-controller")[0].node
    said = ""

    def is_named() -> bool:
        nonlocal said
        said = _flux(lab)["state"]
        return node in said

    with _dead(lab, node):
        # The cluster reports a silent node after almost a minute, and starts Flux elsewhere half a
        # minute later.
        wait_until(is_named, "status names the node", 90)
        code, answer = in_bounded_time(lab, "doctor", "ada")
        assert f"the node {node} is not ready" in said and "within two minutes" in said
        assert code != 0
        assert "controller-down" in [cause["id"] for cause in answer["causes"]]

        wait_until(is_elsewhere(lab, node), "Flux is on another node", 90)
        for learner in learners:
            assert learner.delivers(IN_TIME, web()) < IN_TIME
    for learner in learners:
        await_pods(learner)
    assert spread.up()["changed"] == 0
    assert in_bounded_time(lab, "status")[0] == 0
