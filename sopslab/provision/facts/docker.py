"""Facts about the Docker engine and the lab's containers, networks and images."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing

# What the node image says of its network: `static` or `kindnet`.
CNI_LABEL = "sops-lab.cni"


@dataclass(frozen=True)
class EngineState:
    """Whether the engine answers and, if not, why: `absent`, `stopped`, `forbidden`, `remote`."""

    answers: bool
    reason: str = ""
    default_runtime: str = ""


class DockerEngine(FactBase[EngineState]):
    """
    Returns how the Docker engine is, as an `EngineState`, within 10 seconds.
    """

    @override
    def command(self) -> StringCommand:
        return script(
            """
            format='{{.ServerVersion}} {{.DefaultRuntime}}'
            engine=$(timeout -k 1 8 docker info --format "$format" 2>/dev/null) || engine=
            if [ -n "${engine%% *}" ]; then
                echo "answers $engine"
            elif [ -n "${DOCKER_HOST:-}" ]; then
                echo "remote"
            elif ! PATH="$PATH:/usr/sbin" command -v dockerd >/dev/null; then
                echo "absent"
            # A socket file outlives its engine; a socket that is bound is listed by the kernel.
            elif grep -qE ' (/var)?/run/docker\\.sock$' /proc/net/unix \\
                && [ ! -w /var/run/docker.sock ]; then
                echo "forbidden"
            else
                echo "stopped"
            fi
            """
        )

    @override
    def process(self, output: list[str]) -> EngineState:
        match (output[-1] if output else "").split():
            case ["answers", _version, runtime]:
                return EngineState(answers=True, default_runtime=runtime)
            case [reason]:
                return EngineState(answers=False, reason=reason)
        raise FactProcessError(f"docker info was not understood: {output}")


_TRAITS = """
path=$(command -v docker) || exit 0
client=$(readlink -f "$path")
case "$path $client" in /snap/* | */snap) echo snap=1 ;; esac
config=${DOCKER_CONFIG:-$HOME/.docker}/config.json
# Of this file nothing is printed: it may hold passwords.
if grep -qE '"(https?|ftp|all)Proxy"[[:space:]]*:[[:space:]]*"[^"]' "$config" 2>/dev/null; then
    echo "proxies=$config"
fi
format='driver={{.Driver}}
system={{.OperatingSystem}}
folder={{.DockerRootDir}}
security={{range .SecurityOptions}}{{.}} {{end}}'
timeout -k 1 8 docker info --format "$format" 2>/dev/null && exit 0
# Podman, which podman-docker calls docker, knows no such fields.
case "${client##*/} $(timeout -k 1 8 docker --version 2>&1)" in *[Pp]odman*) echo podman=1 ;; esac
"""


@dataclass(frozen=True)
class EngineTraits:
    """What an engine is like: empty texts where there is none, or none that tells.

    `driver` is its storage driver, `security` its security options, `snap` whether it sees files
    as a snap does; `proxies` is the client's file that has proxies for every container.
    """

    podman: bool = False
    snap: bool = False
    proxies: str = ""
    driver: str = ""
    system: str = ""
    security: str = ""


class DockerTraits(FactBase[EngineTraits]):
    """
    Returns what the Docker client and its engine are like, as `EngineTraits`, within 20 seconds.
    """

    default = EngineTraits

    @override
    def command(self) -> StringCommand:
        return script(_TRAITS)

    @override
    def process(self, output: list[str]) -> EngineTraits:
        values = {key: value for key, _, value in (line.partition("=") for line in output)}
        folder = values.get("folder", "")
        return EngineTraits(
            # The second is how an engine of Podman's shows that the real client talks to.
            podman="podman" in values or folder.endswith("/containers/storage"),
            snap="snap" in values or folder.startswith("/var/snap/"),
            proxies=values.get("proxies", ""),
            driver=values.get("driver", ""),
            system=values.get("system", ""),
            security=values.get("security", ""),
        )


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
