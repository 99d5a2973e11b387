"""Whether a lab's cluster stays, or is replaced because the user asked for it."""

from __future__ import annotations

from sopslab.model.kind import ClusterState

RECREATE = "`sopslab up --recreate` makes the cluster anew and keeps all keys and repositories"
"""The next step if a cluster differs from what this version would make."""


def cluster_plan(state: ClusterState, node_image: str, *, recreate: bool) -> list[str]:
    """Return sentences about what happens to a lab's complete cluster. Return none if the cluster
    stays and is what this version would make, or if it is not complete.

    + node_image: the image from which this version makes a node
    + recreate: whether the cluster is to be replaced
    """
    if not state.complete:
        return []
    if recreate:
        return ["the cluster is replaced by a new one; keys and repositories stay"]
    if state.image in {"", node_image}:
        return []
    return [f"the cluster stays, and its node is what another sops-lab made: {RECREATE}"]
