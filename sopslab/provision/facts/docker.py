"""Facts about the Docker engine and the lab's containers, networks and images."""

from __future__ import annotations

import json
from typing import Any

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing

# What the node image says of its network: `static` or `kindnet`.
CNI_LABEL = "sops-lab.cni"


class _Inspect(FactBase[dict[str, Any] | None]):
    """Base of the facts that look at one object of the engine."""

    abstract = True
    kind = ""

    @override
    def command(self, target: str) -> StringCommand:
        # An absent object prints `[]` and exits 1; an engine that does not answer prints nothing.
        return script(
            'timeout -k 1 8 docker "$1" inspect "$2" 2>/dev/null || true', self.kind, target
        )

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, Any] | None:
        found = json.loads("\n".join(output) or "[]")
        return dict(found[0]) if found else None


class Network(_Inspect):
    """
    Returns a Docker network as `docker network inspect` describes it, or None.
    """

    abstract = False
    kind = "network"


class Container(_Inspect):
    """
    Returns a container as `docker container inspect` describes it, or None.
    """

    abstract = False
    kind = "container"


class ImageLabels(FactBase[dict[str, str]]):
    """
    Returns the labels of an image; none, too, if there is no such image.
    """

    default = dict

    @override
    def command(self, target: str) -> StringCommand:
        return script(
            """
            docker image inspect --format '{{json .Config.Labels}}' "$1" 2>/dev/null || echo null
            """,
            target,
        )

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, str]:
        return dict(json.loads("".join(output) or "null") or {})


class LabNetworks(FactBase[list[str]]):
    """
    Returns the networks of the labs that one root has.
    """

    default = list

    @override
    def command(self, owner: str) -> StringCommand:
        return script(
            """
            docker network ls --filter "label=sops-lab.root=$1" --format '{{.Name}}' || true
            """,
            owner,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output
