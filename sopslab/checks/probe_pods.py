"""Pods that find out whether Flux can work on a node: each pod runs Flux's controllers there for a
moment, and its source controller asks the Git server."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.checks.controller_pods import (
    container,
    controller_of,
    kubeconfig,
    not_started,
    pod,
    stopped,
    unanswered,
)
from sopslab.model.clusters import NodeReach
from sopslab.model.objects import Object

# The controller that reads repositories.
_READER = "source-controller"
_NO_SERVER = ("--metrics-addr=0", "--health-addr=:0", "--storage-path=/tmp")
_SECONDS = 300
_GIT = "git"


def pods(
    nodes: Sequence[str], images: Sequence[str], server: str, ca: bytes | None
) -> list[Object]:
    """Return a pod for each node.

    + images: the images of Flux's controllers
    + server: the Git server's address, as pods reach it
    + ca: the certificate by which pods trust the server, None if the image has one that does
    """
    asked = {_GIT: kubeconfig(server, ca)}
    containers = list(map(_container, images))
    return [
        pod(f"node-{number}", node, containers, asked, seconds=_SECONDS)
        for number, node in enumerate(nodes)
    ]


def _container(image: str) -> Object:
    name = controller_of(image)
    if name == _READER:
        return container(name, image, *_NO_SERVER, asking=_GIT)
    return container(name, image, "--help")


def reading(pod: Object) -> NodeReach | None:
    """Return what a pod has found out about its node, None while the pod is not done."""
    why = not_started(pod)
    if why is not None:
        return NodeReach(images=why)
    found = (pod.get("status") or {}).get("containerStatuses") or []
    halted = [why for why in map(stopped, found) if why]
    if halted:
        return NodeReach(images=halted[0])
    ended = [one["state"].get("terminated") for one in found]
    if not ended or None in ended:
        return None
    said = next(one["state"]["terminated"] for one in found if one["name"] == _READER)
    return NodeReach(git=unanswered(said.get("message") or ""))


def late(pod: Object) -> NodeReach:
    """Return the result for a node whose pod is not done when the time is over."""
    found = (pod.get("status") or {}).get("containerStatuses") or []
    pulled = [one for one in found if "waiting" not in one["state"]]
    if found and len(pulled) == len(found):
        return NodeReach(git="it does not answer in time")
    return NodeReach(images="Flux's images are not there in time")
