"""The node of a kind cluster."""

from __future__ import annotations

from sopslab.config.places import Places
from sopslab.lab.tools.programs import ask, lab_environment
from sopslab.model.results import Undecided


def images(places: Places, node: str) -> frozenset[str] | None:
    """Return the images that a node has, None where it does not answer."""
    command = ["docker", "exec", node, "ctr", "--namespace", "k8s.io", "images", "list", "--quiet"]
    try:
        answer = ask(command, lab_environment(places))
    except Undecided:
        return None
    return frozenset(answer.text.split()) if answer.code == 0 else None
