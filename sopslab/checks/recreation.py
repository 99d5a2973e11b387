"""Whether a lab's cluster stays, or is replaced because that was asked for."""

from __future__ import annotations

from sopslab.model.kind import ClusterState

RECREATE = "`sopslab up --recreate` makes the cluster anew and keeps all keys and repositories"
"""The next step if a cluster is not what this version would make."""


def cluster_plan(state: ClusterState, node_image: str, *, recreate: bool) -> list[str]:
    """Return in sentences what becomes of a lab's complete cluster; empty if it stays and is what
    this version would make.

    + node_image: the image of which this version makes a node
    + recreate: whether the cluster is to be replaced
    """
    if not state.complete:
        return []
    if recreate:
        return ["the cluster is replaced by a new one; keys and repositories stay"]
    if state.image in {"", node_image}:
        return []
    return [f"the cluster stays, and its node is what another sops-lab made: {RECREATE}"]
