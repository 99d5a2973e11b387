"""The id of a lab, and which objects of an existing cluster are the lab's."""

from __future__ import annotations

import json

from sopslab.checks.ownership import IDENTITY, Owner
from sopslab.config.places import Places
from sopslab.errors import LabError
from sopslab.lab.tools.files import read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.layout import ID_LABEL, LAB_LABEL
from sopslab.model.results import Undecided

# The namespace that exists as long as the cluster itself, so that its uid identifies the cluster.
OLDEST = "kube-system"
_PATIENCE_S = 20.0


def lab_id(lab: Places) -> str | None:
    """Return the id that distinguishes the lab from others of the same name; None if it has none
    yet.

    Raises LabError if the file of the id holds something else.
    """
    content = read(lab.id_file)
    if content is None:
        return None
    found = content.decode(errors="replace").strip()
    if not IDENTITY.fullmatch(found):
        raise LabError(
            f"{lab.id_file} does not hold the id of a lab, by which its objects in a cluster are"
            " known: restore it from a backup (`sopslab restore`)"
        )
    return found


def owner_labels(lab: Places, key: str = LAB_LABEL) -> dict[str, str]:
    """Return the labels that mark objects in a cluster as the lab's. Raises LabError as `lab_id`
    does.

    + key: the label that holds the lab's name
    """
    found = lab_id(lab)
    return {key: lab.lab, **({ID_LABEL: found} if found else {})}


def owner_in(lab: Places, cluster: str) -> Owner:
    """Return what recognises the lab's objects in a cluster. Raises LabError as `lab_id` does.

    + cluster: the id of the cluster
    """
    return Owner(lab.lab, lab_id(lab), cluster in unmarked_clusters(lab))


def owner_by(lab: Places, kubectl: Kubectl) -> Owner:
    """Return the same as `owner_in` for the cluster of a kubectl. Raises LabError, and Undecided if
    the cluster cannot be identified."""
    return owner_in(lab, cluster_id(kubectl))


def unmarked_clusters(lab: Places) -> list[str]:
    """Return the ids of the clusters in which the lab has been since before labs had ids. Its older
    objects there have no label with an id."""
    recorded = _recorded(lab)
    # The oldest labs have no record of their clusters, but one of what pods could reach in theirs.
    reached = None if lab_id(lab) else _reached(lab)
    return recorded if reached is None or reached in recorded else [*recorded, reached]


def _recorded(lab: Places) -> list[str]:
    try:
        return [str(one) for one in json.loads(read(lab.clusters_file) or b"[]")]
    except (ValueError, TypeError):
        return []


def _reached(lab: Places) -> str | None:
    try:
        record = json.loads(read(lab.reach_file) or b"{}")
    except ValueError:
        return None
    return str(record["cluster"]) if isinstance(record, dict) and "cluster" in record else None


def cluster_id(kubectl: Kubectl) -> str:
    """Return the id by which a cluster is known. Raises Undecided if it cannot be read."""
    oldest = kubectl.get("namespace", OLDEST, patience=_PATIENCE_S)
    if oldest is None:
        raise Undecided(f"the cluster has no namespace {OLDEST}, so it cannot be recognised")
    return str(oldest["metadata"]["uid"])
