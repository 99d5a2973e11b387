"""Objects of the Docker engine, looked up by their names.

If there is no docker, or its engine does not answer, every object counts as missing. Raises
Undecided if docker does not end in time.
"""

from __future__ import annotations

import json
from typing import Any

from sopslab.lab.tools.docker import ask_docker, try_docker
from sopslab.model.docker import Container, Network

_PATIENCE_S = 8


def container(name: str) -> Container | None:
    """Return the container of a name, None if there is none."""
    found = _inspected("container", name)
    if found is None:
        return None
    return Container(
        # A container that is paused or that starts again and again counts as running, too.
        running=found["State"]["Status"] == "running",
        networks=tuple(found["NetworkSettings"]["Networks"]),
        labels=found["Config"]["Labels"] or {},
    )


def network(name: str) -> Network | None:
    """Return the network of a name, None if there is none."""
    found = _inspected("network", name)
    return None if found is None else Network(found["Labels"] or {})


def image_labels(image: str) -> dict[str, str]:
    """Return the labels of an image; also none if there is no such image."""
    found = _inspected("image", image) or {}
    return dict((found.get("Config") or {}).get("Labels") or {})


def lab_networks() -> list[str] | None:
    """Return the names of the networks of all labs, in whatever root they are; None if Docker does
    not say."""
    labelled = ("--filter", "label=sops-lab.root")
    listed = try_docker("network", "ls", *labelled, "--format", "{{.Name}}", patience=_PATIENCE_S)
    return listed.text.split() if listed.code == 0 else None


def _inspected(kind: str, name: str) -> Any:
    # For a missing object, docker prints `[]`; if the engine does not answer, it prints nothing.
    said = ask_docker(kind, "inspect", name, patience=_PATIENCE_S).out
    return next(iter(json.loads(said or b"[]")), None)
