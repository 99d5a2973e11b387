"""Pods that find out whether network policies are enforced on a node, and not only stored.

Each node has two pods that are asked: an open pod, and a shut pod, which a policy isolates. Pods on
the same node and on another node ask both of them. A third asking pod is shut itself, so no traffic
may leave it, and asks the open pods.

All pods are notification controllers, whose port takes connections while they wait for an API
server. The pods that are asked wait for themselves, so they never answer. An asking pod that gets
through finally reports that a TLS handshake took too long; one that does not get through reports
that there was no connection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sopslab.checks.controller_pods import (
    container,
    controller_of,
    kubeconfig,
    not_started,
    pod,
    stopped,
    unanswered,
    was_connected,
)
from sopslab.model.objects import Object, is_ready

_CONTROLLER = "notification-controller"
_PORT = 9440
_SECONDS = 420
_LABELS = {"sops-lab/probe": "shut"}
_QUIET = ("--metrics-addr=0", "--events-addr=:0", "--receiverAddr=:0")
_ITSELF = "itself"
# Some networks begin to filter a new pod only a moment after it starts, and some let no traffic of
# it through until then. A question with an unexpected result is therefore asked once more.
_ATTEMPTS = 2
_SHUT_IN = "a pod that one shuts is reached"
_SHUT_OUT = "a pod that one shuts reaches others"
_APART = "pods do not reach each other where nothing shuts them"
# The result for a node that is undecided when the time is over.
LATE = "the pods that try it are not done in time"


@dataclass(frozen=True)
class Trial:
    """A trial of one node. `number` is part of the names of its pods. `other` is another node and
    its number, None if there is no other node."""

    number: int
    node: str
    other: tuple[int, str] | None


@dataclass(frozen=True)
class _Asker:
    """A pod that asks others. `asks` has their names; `shut` is whether the asking pod is isolated
    itself."""

    name: str
    node: str
    shut: bool
    asks: tuple[str, ...]


def trials(asked: Sequence[str], usable: Sequence[str]) -> list[Trial]:
    """Return the trial of each node in `asked`, with the next usable node as the other node."""
    numbered = list(enumerate(usable))
    following = dict(zip(usable, numbered[1:] + numbered[:1], strict=True))
    return [
        Trial(number, node, following[node] if len(usable) > 1 else None)
        for number, node in numbered
        if node in asked
    ]


def deny_all() -> Object:
    """Return the policy that isolates the shut pods."""
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "deny-all"},
        "spec": {"podSelector": {"matchLabels": _LABELS}, "policyTypes": ["Ingress", "Egress"]},
    }


def _open(number: int) -> str:
    return f"open-{number}"


def _shut(number: int) -> str:
    return f"shut-{number}"


def targets(tried: Sequence[Trial], images: Sequence[str]) -> list[Object]:
    """Return the pods that are asked.

    + images: the images of Flux's controllers
    """
    nodes = {trial.number: trial.node for trial in tried}
    opened = nodes | dict(trial.other for trial in tried if trial.other is not None)
    image = _image(images)
    return [
        *(_target(_open(number), node, image, {}) for number, node in opened.items()),
        *(_target(_shut(number), node, image, _LABELS) for number, node in nodes.items()),
    ]


def _target(name: str, node: str, image: str, labels: Mapping[str, str]) -> Object:
    ready = {"tcpSocket": {"port": _PORT}, "periodSeconds": 1, "failureThreshold": 60}
    listening = container(name, image, *_QUIET, f"--health-addr=:{_PORT}", asking=_ITSELF)
    asked = {_ITSELF: kubeconfig(f"http://127.0.0.1:{_PORT}")}
    containers = [{**listening, "readinessProbe": ready}]
    return pod(name, node, containers, asked, seconds=_SECONDS, labels=labels)


def _image(images: Sequence[str]) -> str:
    return next(image for image in images if controller_of(image) == _CONTROLLER)


def standing(target: Object | None) -> str | None:
    """Return "" if a pod can be asked, None if it cannot be asked yet, or why it never can be."""
    if target is None:
        return None
    if is_ready(target):
        return ""
    found = (target.get("status") or {}).get("containerStatuses") or []
    return not_started(target) or next(filter(None, map(stopped, found)), None)


def asked_of(trial: Trial) -> list[str]:
    """Return the names of the pods that a trial asks."""
    names = [_open(trial.number), _shut(trial.number)]
    return names if trial.other is None else [*names, _open(trial.other[0])]


def unasked(tried: Sequence[Trial], standings: Mapping[str, str | None]) -> dict[str, str]:
    """Return the nodes that cannot be tried, each with the reason.

    + standings: the result of `standing` for each pod that is asked, by the pod's name
    """
    return {
        trial.node: why
        for trial in tried
        for name in asked_of(trial)
        if (why := LATE if standings[name] is None else standings[name])
    }


def askers(
    tried: Sequence[Trial], targets: Mapping[str, Object], images: Sequence[str]
) -> list[Object]:
    """Return the pods that ask.

    + targets: the pods that are asked, by name, as the cluster has them
    + images: the images of Flux's controllers
    """
    image = _image(images)
    return [_asker(one, targets, image) for trial in tried for one in _asking(trial)]


def _asking(trial: Trial) -> Iterator[_Asker]:
    """Yield the pods that ask in a trial."""
    both = (_open(trial.number), _shut(trial.number))
    opened: tuple[str, ...] = (_open(trial.number),)
    yield _Asker(f"near-{trial.number}", trial.node, shut=False, asks=both)
    if trial.other is not None:
        number, node = trial.other
        opened = (*opened, _open(number))
        yield _Asker(f"far-{trial.number}", node, shut=False, asks=both)
    yield _Asker(f"out-{trial.number}", trial.node, shut=True, asks=opened)


def _asker(one: _Asker, targets: Mapping[str, Object], image: str) -> Object:
    asked = {
        target: kubeconfig(f"https://{_host(targets[target]['status']['podIP'])}:{_PORT}")
        for target in one.asks
    }
    containers = [
        container(name, image, *_QUIET, "--health-addr=:0", asking=name) for name in asked
    ]
    labels = _LABELS if one.shut else {}
    return pod(
        one.name, one.node, containers, asked, seconds=_SECONDS, restarts=True, labels=labels
    )


def _host(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def verdict(trial: Trial, pods: Mapping[str, Object]) -> str | None:
    """Return "" if policies were seen to be enforced on a node, None while this is undecided, or
    else what is wrong.

    + pods: all pods that ask or are asked, by name, as the cluster has them
    """
    reasons = [why for one in _asking(trial) for why in _heard(one, trial, pods)]
    if None in reasons:
        return None
    return ", and ".join(dict.fromkeys(filter(None, reasons)))


def _heard(one: _Asker, trial: Trial, pods: Mapping[str, Object]) -> Iterator[str | None]:
    """Yield the result of each question of a pod, in the form of `verdict`. A result counts only if
    the pod that is asked can still be asked, because nobody can connect to a pod that is gone."""
    asker = pods.get(one.name, {})
    found = {
        each["name"]: each for each in (asker.get("status") or {}).get("containerStatuses", [])
    }
    for target in one.asks:
        if target not in found:
            yield not_started(asker)
        elif standing(pods.get(target)) != "":
            yield standing(pods.get(target))
        elif halted := stopped(found[target]):
            yield halted
        elif one.shut:
            yield _refused(found[target], _SHUT_OUT)
        elif target == _shut(trial.number):
            yield _refused(found[target], _SHUT_IN)
        else:
            yield _reached(found[target])


def _last(status: Object) -> tuple[str, int]:
    """Return the last line of a container's last attempt, and how many attempts have ended."""
    ends = [status.get(when, {}).get("terminated") for when in ("state", "lastState")]
    last = next(filter(None, ends), None)
    if last is None:
        return "", 0
    at_work = "running" in status["state"]
    return last.get("message") or "", status["restartCount"] + (0 if at_work else 1)


def _refused(status: Object, through: str) -> str | None:
    message, attempts = _last(status)
    if was_connected(message) is False:
        return ""
    if attempts < _ATTEMPTS:
        return None
    return through if was_connected(message) else unanswered(message)


def _reached(status: Object) -> str | None:
    message, attempts = _last(status)
    if was_connected(message):
        return ""
    return None if attempts < _ATTEMPTS else f"{_APART} ({unanswered(message)})"
