"""The state of the Docker engine, and its traits."""

from __future__ import annotations

from dataclasses import dataclass

# The name of the lab's OCI runtime, which wraps runc on machines that need it.
RUNTIME = "sops-lab"
# The group whose members may use the engine.
GROUP = "docker"


def body(program: str) -> str:
    """Return a program without its first line, which names the Python of one machine."""
    return program.partition("\n")[2]


@dataclass(frozen=True)
class EngineTraits:
    """The traits of an engine. Texts are empty if there is no engine, or it does not say.

    `podman` is whether it is Podman, `snap` whether it sees files as a snap does, and `media`
    whether this snap sees what is mounted in /media and /mnt. `driver` is its storage driver,
    `security` its security options. `proxies` is the client's configuration file if that sets
    proxies for every container. `context` is the client's context and `endpoint` the address that
    it leads to, unless DOCKER_HOST names the engine.
    """

    podman: bool = False
    snap: bool = False
    media: bool = False
    proxies: str = ""
    context: str = ""
    endpoint: str = ""
    driver: str = ""
    system: str = ""
    security: str = ""


@dataclass(frozen=True)
class EngineState:
    """Whether the engine answers and, if not, the reason: `absent`, `client` (only the client is
    installed), `stopped`, `forbidden` or `remote`.

    `configured` is whether somebody other than a lab has configured the engine.
    """

    answers: bool = False
    reason: str = ""
    default_runtime: str = ""
    traits: EngineTraits = EngineTraits()
    configured: bool = False
