"""Pods that find out, on each node of an existing cluster, whether Flux would have what it needs
there."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sopslab.checks import causes
from sopslab.checks.clusters import find_reach_problems, refused, unproven
from sopslab.checks.probe_pods import late, pods, reading
from sopslab.config.naming import probe_namespace
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import log
from sopslab.lab.observe.existing import reach_of, usable_nodes, wanted_reach
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.clusters import NodeReach
from sopslab.model.objects import Object
from sopslab.model.wire import encode

# A node that has no image yet pulls three, of 60 MB together.
_SECONDS = 180
_PAUSE = 1.0


def probe(lab: Lab, accept: list[str]) -> None:
    """Ask pods on the nodes of which it is not known, and record it.

    Raises LabError with what they lack and the lab does not do without; Undecided where the
    cluster cannot be asked.

    + accept: what the lab does without, by name
    """
    wanted, known, nodes = wanted_reach(lab), reach_of(lab), usable_nodes(lab)
    asked = unproven(nodes, wanted, known, frozenset(accept))
    found = _ask(lab, asked, wanted.images) if asked else {}
    problems = refused(find_reach_problems(found, wanted.git), frozenset(accept))
    if problems:
        raise LabError("\n".join(problems))
    # Of the others it is known.
    before = known.nodes if known is not None else {}
    reached = {name: found.get(name) or before[name] for name in nodes}
    files.write(lab.reach_file, json.dumps(encode(replace(wanted, nodes=reached))))


def _ask(lab: Lab, nodes: Sequence[str], images: Sequence[str]) -> dict[str, NodeReach]:
    """Return what pods on some nodes find out. Raises LabError if the cluster refuses them."""
    kubectl = Kubectl(lab)
    ca = files.read(lab.git_ca) if lab.git_ca is not None else None
    wanted = pods(nodes, images, lab.git_base_cluster_url, ca)
    try:
        with _namespace(lab, kubectl) as namespace:
            kubectl.apply(
                {**one, "metadata": {**one["metadata"], "namespace": namespace}} for one in wanted
            )
            return _await(kubectl, namespace, nodes)
    except Failed as failure:
        log(failure)
        raise LabError(
            "the cluster refused the pods that find out whether its nodes reach the Git server:"
            f" {causes.refused(failure.lines)}"
        ) from None


@contextmanager
def _namespace(lab: Lab, kubectl: Kubectl) -> Iterator[str]:
    """Yield a new namespace, which is gone after the block, and so are the pods of a run that was
    killed. Raises Failed, and LabError if it is somebody else's."""
    name = probe_namespace(lab.lab)
    labels = {"sops-lab": lab.lab, "pod-security.kubernetes.io/enforce": "restricted"}
    there = kubectl.get("namespace", name)
    if there is not None and (there["metadata"].get("labels") or {}).get("sops-lab") != lab.lab:
        raise LabError(f"the namespace {name} is not this lab's: delete it, or rename the lab")
    deletion = ("delete", "namespace", name, "--ignore-not-found")
    if there is not None:
        kubectl.run(*deletion, "--timeout", "90s", patience=120)
    made: Object = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": labels},
    }
    try:
        kubectl.apply([made])
        yield name
    finally:
        # Whoever needs it to be gone waits for that.
        kubectl.succeeds(*deletion, "--wait=false")


def _await(kubectl: Kubectl, namespace: str, nodes: Sequence[str]) -> dict[str, NodeReach]:
    """Return what each node's pod has found out, as soon as all have, or when the time is over."""
    deadline = Deadline(_SECONDS)
    while True:
        listed = {one["spec"]["nodeName"]: one for one in kubectl.list("pods", namespace=namespace)}
        found = {node: reading(listed[node]) if node in listed else None for node in nodes}
        if None not in found.values() or deadline.is_over:
            break
        time.sleep(_PAUSE)
    return {node: one or late(listed.get(node, {})) for node, one in found.items()}
