"""Objects of the Docker engine, each by its name; none is there where no engine answers."""

from __future__ import annotations

import json
from typing import Any

from sopslab.lab.tools.docker import ask_docker
from sopslab.model.docker import Container, Network

_PATIENCE_S = 8


def container(name: str) -> Container | None:
    """Return a container, None if there is none of that name."""
    found = _inspected("container", name)
    if found is None:
        return None
    return Container(
        running=bool(found["State"]["Running"]),
        networks=tuple(found["NetworkSettings"]["Networks"]),
        labels=found["Config"]["Labels"] or {},
    )


def network(name: str) -> Network | None:
    """Return a network, None if there is none of that name."""
    found = _inspected("network", name)
    return None if found is None else Network(found["Labels"] or {})


def image_labels(image: str) -> dict[str, str]:
    """Return the labels of an image; none if there is no such image, either."""
    found = _inspected("image", image) or {}
    return dict((found.get("Config") or {}).get("Labels") or {})


def networks_of(owner: str) -> list[str]:
    """Return the networks of the labs that one root has."""
    labelled = ("--filter", f"label=sops-lab.root={owner}")
    listed = ask_docker("network", "ls", *labelled, "--format", "{{.Name}}", patience=_PATIENCE_S)
    return listed.text.split()


def _inspected(kind: str, name: str) -> Any:
    # For an absent object, docker says `[]`; if the engine does not answer, it says nothing.
    said = ask_docker(kind, "inspect", name, patience=_PATIENCE_S).out
    return next(iter(json.loads(said or b"[]")), None)
