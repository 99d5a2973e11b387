"""The state of the Docker engine, and its traits."""

from __future__ import annotations

from dataclasses import dataclass

# The OCI runtime in front of runc, where a machine needs one.
RUNTIME = "sops-lab"


def body(program: str) -> str:
    """Return a program without its first line, which names the Python of the machine it is for."""
    return program.partition("\n")[2]


@dataclass(frozen=True)
class EngineTraits:
    """What an engine is like: empty texts if there is none, or if it does not tell.

    `driver` is its storage driver, `security` its security options, `snap` whether it sees files
    as a snap does; `proxies` is the client's file that has proxies for every container.
    """

    podman: bool = False
    snap: bool = False
    proxies: str = ""
    driver: str = ""
    system: str = ""
    security: str = ""


@dataclass(frozen=True)
class EngineState:
    """Whether the engine answers and, if not, why: `absent`, `client` (there is nothing else),
    `stopped`, `forbidden`, `remote`.

    `configured` is whether somebody has configured it, and not for the lab's runtime.
    """

    answers: bool
    reason: str = ""
    default_runtime: str = ""
    traits: EngineTraits = EngineTraits()
    configured: bool = False
