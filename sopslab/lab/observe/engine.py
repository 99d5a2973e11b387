"""How the Docker engine is: whether it answers, and what it and its client are like."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

from sopslab.lab.tools.docker import ask_docker
from sopslab.lab.tools.files import read
from sopslab.model.engine import RUNTIME, EngineState, EngineTraits, body
from sopslab.model.results import Undecided

_PATIENCE = 8
_FORMAT = """version={{.ServerVersion}}
runtime={{.DefaultRuntime}}
driver={{.Driver}}
system={{.OperatingSystem}}
folder={{.DockerRootDir}}
security={{range .SecurityOptions}}{{.}} {{end}}"""
_PROXY = re.compile(rb'"(https?|ftp|all)Proxy"\s*:\s*"[^"]')
# A socket file outlives its engine; a socket that is bound is listed by the kernel.
_BOUND = re.compile(rb" (/var)?/run/docker\.sock$", re.MULTILINE)
_SOCKET = "/var/run/docker.sock"
# A folder of system programs that a user's PATH may lack.
SYSTEM_FOLDER = "/usr/sbin"
# The engine's configuration.
CONFIG = "/etc/docker/daemon.json"


def engine_state() -> EngineState:
    """Return how the engine is, within 20 seconds."""
    try:
        said = ask_docker("info", "--format", _FORMAT, patience=_PATIENCE)
    except Undecided:
        said = None
    values: dict[str, str] = {}
    if said is not None and said.code == 0:
        pairs = (line.partition("=") for line in said.text.splitlines())
        values = {key: value for key, _, value in pairs}
    answers = bool(values.get("version"))
    return EngineState(
        answers,
        "" if answers else _reason(),
        values.get("runtime", ""),
        _traits(values),
        _is_configured(),
    )


def runtime_body(path: str) -> str:
    """Return a program that stands in front of runc, without its first line."""
    return body((read(path) or b"").decode("utf-8", "replace"))


def _reason() -> str:
    """Return why an engine does not answer."""
    if os.environ.get("DOCKER_HOST"):
        return "remote"
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDER}"
    if shutil.which("dockerd", path=path) is None:
        return "absent" if shutil.which("docker") is None else "client"
    bound = _BOUND.search(read("/proc/net/unix") or b"")
    return "forbidden" if bound and not os.access(_SOCKET, os.W_OK) else "stopped"


def _is_configured() -> bool:
    """Return whether the engine's configuration says something that no lab has put there."""
    try:
        known = json.loads((read(CONFIG) or b"").strip() or b"{}")
        return bool(known) and known.get("default-runtime") != RUNTIME
    except (ValueError, AttributeError):
        return True


def _traits(values: dict[str, str]) -> EngineTraits:
    """Return the traits of an engine that said `values`, and of the client that asked it."""
    path = shutil.which("docker")
    if path is None:
        return EngineTraits()
    client = str(Path(path).resolve())
    folder = values.get("folder", "")
    return EngineTraits(
        # The first part recognises an engine of Podman's that the real client talks to.
        podman=folder.endswith("/containers/storage") or (not values and _is_podman(client)),
        snap=path.startswith("/snap/")
        or client.endswith("/snap")
        or folder.startswith("/var/snap/"),
        proxies=_proxies(),
        driver=values.get("driver", ""),
        system=values.get("system", ""),
        security=values.get("security", ""),
    )


def _proxies() -> str:
    """Return the file in which the client has proxies for every container, if it has any.

    Of this file nothing else is told: it may hold passwords.
    """
    home = os.environ.get("DOCKER_CONFIG") or f"{os.environ.get('HOME', '')}/.docker"
    config = f"{home}/config.json"
    return config if _PROXY.search(read(config) or b"") else ""


def _is_podman(client: str) -> bool:
    """Return whether `docker` is Podman's, which does not know these fields."""
    if re.search("[Pp]odman", Path(client).name):
        return True
    try:
        said = ask_docker("--version", patience=_PATIENCE)
    except Undecided:
        return False
    return re.search(rb"[Pp]odman", said.out) is not None
