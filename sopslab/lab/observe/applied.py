"""Whether the cluster is as manifests were applied to it last: one look at their objects tells,
whereas comparing these with the manifests themselves takes two questions about each."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from sopslab.checks.applied import are_as_applied
from sopslab.config.places import Lab, Places
from sopslab.lab.tools.files import read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.objects import Object
from sopslab.model.results import Undecided


def records(places: Places) -> str:
    """Return the folder of what the cluster has made of manifests; it ends with the cluster."""
    return f"{places.lab_dir}/applied"


def record_file(places: Places, path: str) -> str:
    """Return the file that keeps what the cluster has made of the manifests in a file."""
    return f"{records(places)}/{Path(path).stem}.json"


def manifests_digest(path: str) -> str:
    """Return the SHA-256 by which the manifests in a file are known."""
    return hashlib.sha256(read(path) or b"").hexdigest()


def is_as_applied(lab: Lab, path: str) -> bool:
    """Return whether the manifests in a file are those that were applied last, and their objects in
    the cluster as they were then. If not, only comparing them tells what differs."""
    applied = _applied(lab, path)
    if applied is None:
        return False
    try:
        return are_as_applied(Kubectl(lab).get_file(path, patience=30), applied)
    except Undecided:
        return False


def _applied(lab: Lab, path: str) -> list[Object] | None:
    """Return what is on record of the manifests; None if the record is of others, or damaged."""
    try:
        record = json.loads(read(record_file(lab, path)) or b"null")
        objects: list[Object] = record["objects"]
        return objects if record["manifests"] == manifests_digest(path) else None
    except (ValueError, LookupError, TypeError):
        return None
