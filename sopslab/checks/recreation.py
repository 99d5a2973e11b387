"""What becomes of a lab's cluster that is there: it stays, or is replaced if that is asked for."""

from __future__ import annotations

from sopslab.model.kind import ClusterState

RECREATE = "`sopslab up --recreate` makes the cluster anew and keeps all keys and repositories"
"""What to do about a cluster that is not what this product would make."""


def cluster_plan(state: ClusterState, node_image: str, *, recreate: bool) -> list[str]:
    """Return what becomes of a lab's cluster that is complete; nothing for one that stays as it is
    and is what this product would make.

    + node_image: what this product makes a node of
    + recreate: whether the cluster is to be replaced
    """
    if not state.complete:
        return []
    if recreate:
        return ["the cluster is replaced by a new one; keys and repositories stay"]
    if state.image in {"", node_image}:
        return []
    return [f"the cluster stays, and its node is what another sops-lab made: {RECREATE}"]
