"""The state of the Docker engine: whether it answers, and the traits of the engine and its
client."""

from __future__ import annotations

import grp
import json
import os
import re
import shutil
from pathlib import Path

from sopslab.lab.tools.docker import try_docker
from sopslab.lab.tools.files import read
from sopslab.lab.tools.programs import try_ask
from sopslab.model.engine import GROUP, RUNTIME, EngineState, EngineTraits, body

_PATIENCE = 8
_LITTLE_PATIENCE = 3  # for what asks no engine
_CONTEXT = "{{.Name}}={{.Endpoints.docker.Host}}"
_FORMAT = """version={{.ServerVersion}}
runtime={{.DefaultRuntime}}
driver={{.Driver}}
system={{.OperatingSystem}}
folder={{.DockerRootDir}}
security={{range .SecurityOptions}}{{.}} {{end}}"""
_PROXY = re.compile(rb'"(https?|ftp|all)Proxy"\s*:\s*"[^"]')
# In a list of connections, a plug that is not connected has `-` as its slot.
_MEDIA = re.compile(rb"^removable-media\s+docker:removable-media\s+[^\s-]", re.MULTILINE)
# A socket's file stays when the engine ends, so only the kernel's list of bound sockets counts.
_BOUND = re.compile(rb" (/var)?/run/docker\.sock$", re.MULTILINE)
_SOCKET = "/var/run/docker.sock"
# A folder of system programs that may be missing from a user's PATH.
SYSTEM_FOLDER = "/usr/sbin"
# The engine's configuration.
CONFIG = "/etc/docker/daemon.json"


def engine_state() -> EngineState:
    """Return the state of the engine, within 20 seconds."""
    said = try_docker("info", "--format", _FORMAT, patience=_PATIENCE)
    values: dict[str, str] = {}
    if said.code == 0:
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
    """Return the text of an installed OCI runtime (a program that wraps runc), without its first
    line."""
    return body((read(path) or b"").decode("utf-8", "replace"))


def has_group() -> bool:
    """Return whether this process is in the group that may use the engine: a login has the groups
    that its user was in when it began."""
    return any(_name(group) == GROUP for group in {os.getegid(), *os.getgroups()})


def is_member(user: str, gid: int) -> bool:
    """Return whether a user is recorded as one of the group that may use the engine, which counts
    from the next login on.

    + gid: the user's own group
    """
    return any(_name(group) == GROUP for group in os.getgrouplist(user, gid))


def _name(group: int) -> str:
    try:
        return grp.getgrgid(group).gr_name
    except KeyError:
        return ""


def _reason() -> str:
    """Return why the engine does not answer, as one of the words of `EngineState.reason`."""
    if os.environ.get("DOCKER_HOST"):
        return "remote"
    path = f"{os.environ.get('PATH', os.defpath)}:{SYSTEM_FOLDER}"
    if shutil.which("dockerd", path=path) is None:
        return "absent" if shutil.which("docker") is None else "client"
    bound = _BOUND.search(read("/proc/net/unix") or b"")
    return "forbidden" if bound and not os.access(_SOCKET, os.W_OK) else "stopped"


def _is_configured() -> bool:
    """Return whether somebody other than a lab has written the engine's configuration. One that
    cannot be parsed counts as somebody else's."""
    try:
        known = json.loads((read(CONFIG) or b"").strip() or b"{}")
        return bool(known) and known.get("default-runtime") != RUNTIME
    except (ValueError, AttributeError):
        return True


def _traits(values: dict[str, str]) -> EngineTraits:
    """Return the traits of the engine, and of the client that asked it.

    + values: what the engine answered, by the names in `_FORMAT`
    """
    path = shutil.which("docker")
    if path is None:
        return EngineTraits()
    client = str(Path(path).resolve())
    folder = values.get("folder", "")
    context, endpoint = _context()
    snap = path.startswith("/snap/") or client.endswith("/snap") or folder.startswith("/var/snap/")
    return EngineTraits(
        # The first part recognises a Podman engine that Docker's own client talks to.
        podman=folder.endswith("/containers/storage") or (not values and _is_podman(client)),
        snap=snap,
        media=snap and _sees_media(),
        proxies=_proxies(),
        context=context,
        endpoint=endpoint,
        driver=values.get("driver", ""),
        system=values.get("system", ""),
        security=values.get("security", ""),
    )


def _sees_media() -> bool:
    """Return whether Docker's snap may read what is mounted in /media and /mnt, which somebody has
    to allow."""
    said = try_ask(["snap", "connections", "docker"], os.environ, patience=_LITTLE_PATIENCE)
    return _MEDIA.search(said.out) is not None


def _context() -> tuple[str, str]:
    """Return the name of the client's context, and the address that it leads to; "" for both if
    none was chosen, DOCKER_HOST names the engine, or the client does not say."""
    # The client goes by DOCKER_HOST first, then by DOCKER_CONTEXT, then by its configuration.
    if os.environ.get("DOCKER_HOST"):
        return "", ""
    if not os.environ.get("DOCKER_CONTEXT") and b"currentContext" not in (read(_config()) or b""):
        return "", ""
    said = try_docker("context", "inspect", "--format", _CONTEXT, patience=_LITTLE_PATIENCE)
    context, _, endpoint = said.text.partition("=")
    return (context, endpoint) if said.code == 0 else ("", "")


def _proxies() -> str:
    """Return the client's configuration file if it sets proxies for every container, else "".

    No content of the file is returned, because it may hold passwords.
    """
    config = _config()
    return config if _PROXY.search(read(config) or b"") else ""


def _config() -> str:
    """Return the path of the client's configuration file."""
    home = os.environ.get("DOCKER_CONFIG") or f"{os.environ.get('HOME', '')}/.docker"
    return f"{home}/config.json"


def _is_podman(client: str) -> bool:
    """Return whether the command `docker` is Podman, which does not know the fields of
    `_FORMAT`."""
    if re.search("[Pp]odman", Path(client).name):
        return True
    said = try_docker("--version", patience=_PATIENCE)
    return re.search(rb"[Pp]odman", said.out) is not None
