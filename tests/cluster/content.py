"""All that a cluster holds, as its owner sees it."""

from __future__ import annotations

from tests.cluster.hand_made import users_kubectl
from tests.cluster.lab import Lab, run, wait_until

# The kinds of objects that the cluster itself makes, renews and forgets.
_PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io"}


def kubectl(lab: Lab, *arguments: str) -> str:
    """Return what kubectl prints for the cluster's owner."""
    return run([*users_kubectl(lab), *arguments], env=lab.environment).stdout


def content(lab: Lab) -> dict[str, str]:
    """Return the uid of each object of the cluster, of every kind that it lists."""
    kinds = kubectl(lab, "api-resources", "--verbs=list,get", "--output=name").split()
    wanted = ",".join(kind for kind in kinds if kind not in _PASSING)
    form = (
        "jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}"
        " {.metadata.uid}{'\\n'}{end}"
    )
    said = kubectl(lab, "get", wanted, "--all-namespaces", "--output", form)
    return dict(line.rsplit(" ", 1) for line in said.splitlines())


def await_content(lab: Lab, wanted: dict[str, str]) -> None:
    """Wait until the cluster holds these objects and no others: it removes by itself what belonged
    to objects that are gone."""
    found: dict[str, str] = {}

    def is_wanted() -> bool:
        found.clear()
        found.update(content(lab))
        return found == wanted

    try:
        wait_until(is_wanted, "the cluster is as before")
    except AssertionError:
        assert found == wanted
