"""Whether the objects of manifests are still as the last `apply` left them.

Comparing them with a record of that takes one request. Comparing them with the manifests themselves
takes two requests for each object.
"""

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
    """Return the folder that records what the cluster made of applied manifests. It is removed
    together with the cluster."""
    return f"{places.lab_dir}/applied"


def record_file(places: Places, path: str) -> str:
    """Return the file that records what the cluster made of one file of manifests."""
    return f"{records(places)}/{Path(path).stem}.json"


def manifests_digest(path: str) -> str:
    """Return the SHA-256 of a file of manifests, which identifies it in the record."""
    return hashlib.sha256(read(path) or b"").hexdigest()


def is_as_applied(lab: Lab, path: str) -> bool:
    """Return whether the manifests in a file are the ones applied last, and their objects in the
    cluster have not changed since. If not, only a comparison of the two shows what differs."""
    applied = _applied(lab, path)
    if not applied:
        return False
    try:
        return are_as_applied(Kubectl(lab).named(applied, patience=30), applied)
    except Undecided:
        return False


def _applied(lab: Lab, path: str) -> list[Object] | None:
    """Return the recorded objects of the manifests in a file; None if the record is missing or
    damaged, or is about other manifests."""
    try:
        record = json.loads(read(record_file(lab, path)) or b"null")
        objects: list[Object] = record["objects"]
        return objects if record["manifests"] == manifests_digest(path) else None
    except (ValueError, LookupError, TypeError):
        return None
