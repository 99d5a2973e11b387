"""What goes into a report. Each piece is asked for by itself, side by side, in bounded time."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab import __version__
from sopslab.checks.rules.platform import LOCKDOWN
from sopslab.config.naming import git_namespace, git_server_name, network_name, node_name
from sopslab.lab.observe.versions import look_at_tools
from sopslab.lab.tools.programs import ask, clean_environment, git_environment
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.git_pod import POD
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_LINES = "3000"  # of each container's log
_MOST = 2 * 1024 * 1024  # bytes of one piece; its end says more than its beginning
# A Secret without its values: where it is, what it is, what keys it has.
_SECRETS = (
    "{{range .items}}{{.metadata.namespace}}/{{.metadata.name}} {{.type}}"
    '{{range $key, $value := .data}} {{$key}}{{end}}{{"\\n"}}{{end}}'
)


@dataclass(frozen=True)
class Piece:
    """A file of the report, and the question that its content answers."""

    name: str
    look: Callable[[], bytes]


@dataclass(frozen=True)
class Collected:
    """The files of a report, and in sentences what could not be had."""

    files: dict[str, bytes]
    missing: list[str]


def collect(settings: Settings, executor: Executor) -> Collected:
    """Return everything that a report tells, as it was said, secrets not yet taken out."""
    asked = [(piece.name, executor.submit(piece.look)) for piece in pieces(settings, executor)]
    files, missing = {}, []
    for name, answer in asked:
        try:
            files[name] = answer.result()[-_MOST:]
        except (Undecided, OSError) as error:
            missing.append(f"{name}: {error}")
    return Collected(files, missing)


def pieces(settings: Settings, executor: Executor) -> Iterator[Piece]:
    """Yield the pieces of a report on a lab."""
    yield Piece("machine.json", lambda: _json(_machine()))
    yield Piece("settings.json", lambda: _json(settings.model_dump(exclude={"git_password"})))
    yield Piece("tools.txt", lambda: _tools(settings, executor))
    for log in sorted((Path(settings.lab_dir) / "log").glob("*")):
        yield Piece(f"runs/{log.name}", log.read_bytes)
    yield from _from_docker(settings)
    yield from _from_cluster(settings)
    yield from _from_git(settings)
    for verb, *whose in (("status",), ("verify",), ("doctor", settings.learner.id)):
        command = [sys.executable, "-m", "sopslab", verb, *whose, "--json"]
        yield Piece(f"{verb}.json", partial(_said, command))


def _from_docker(settings: Settings) -> Iterator[Piece]:
    def docker(*arguments: str) -> Callable[[], bytes]:
        return partial(_said, ["docker", *arguments])

    yield Piece("docker/version.txt", docker("version"))
    yield Piece("docker/info.txt", docker("info"))
    network = f"network={network_name(settings.lab)}"
    yield Piece("docker/containers.txt", docker("ps", "--all", "--filter", network))
    node = [node_name(settings.lab)] if settings.cluster_provider == "kind" else []
    server = [git_server_name(settings.lab)] if settings.git_embedded else []
    for container in (*node, *server):
        log = docker("logs", "--timestamps", "--tail", _LINES, container)
        yield Piece(f"docker/{container}.log", log)


def _from_cluster(settings: Settings) -> Iterator[Piece]:
    reaching = [
        f"{settings.bin_dir}/kubectl", "--kubeconfig", settings.lab_kubeconfig,
        "--context", settings.lab_context, "--request-timeout", "8s",
    ]  # fmt: skip

    def asked(*arguments: str) -> Callable[[], bytes]:
        return partial(_said, [*reaching, *arguments], clean_environment(settings))

    everywhere = ("--all-namespaces", "--output")
    here = ("--namespace", FLUX_NAMESPACE)
    secrets = ("get", "secrets", *everywhere, f"go-template={_SECRETS}")
    events = ("get", "events", "--sort-by=.lastTimestamp", *everywhere, "wide")
    yield Piece("cluster/version.txt", asked("version"))
    yield Piece("cluster/nodes.txt", asked("describe", "nodes"))
    yield Piece("cluster/pods.txt", asked("get", "pods", *everywhere, "wide"))
    yield Piece("cluster/namespaces.txt", asked("get", "namespaces", "--show-labels"))
    yield Piece("cluster/secrets.txt", asked(*secrets))
    yield Piece("cluster/events.txt", asked(*events))
    yield Piece("flux/deployments.yaml", asked(*here, "get", "deployments", "--output", "yaml"))
    for kind in ("gitrepositories", "kustomizations", "receivers"):
        yield Piece(f"flux/{kind}.yaml", asked("get", kind, *everywhere, "yaml"))
    for name in LOCKDOWN:
        log = asked(*here, "logs", f"deployment/{name}", "--tail", _LINES)
        yield Piece(f"flux/{name}.log", log)
    if settings.git_pod is not None:
        there = ("--namespace", git_namespace(settings.lab))
        yield Piece("cluster/git.log", asked(*there, "logs", POD, "--tail", _LINES))
        yield Piece("cluster/git.txt", asked(*there, "describe", "statefulset,pod"))


def _from_git(settings: Settings) -> Iterator[Piece]:
    def git(*arguments: str) -> Callable[[], bytes]:
        argv = ["git", "-C", settings.work_dir, *arguments]
        return partial(_said, argv, git_environment())

    yield Piece("work/status.txt", git("status", "--short", "--branch"))
    yield Piece("work/log.txt", git("log", "--all", "--oneline", "--decorate", "--max-count", "50"))


def _machine() -> dict[str, object]:
    return {
        "sopslab": __version__,
        "python": sys.version,
        "system": " ".join(platform.uname()[i] for i in (0, 2, 3, 4)),
        "cpus": os.cpu_count(),
        "memory": Path("/proc/meminfo").read_text(encoding="ascii").splitlines()[:3],
        "load": os.getloadavg(),
    }


def _tools(settings: Settings, executor: Executor) -> bytes:
    lines = [
        f"{tool.name} {tool.version}, pinned {tool.wanted}; first in PATH: {tool.first or 'this'}"
        for tool in look_at_tools(settings, executor)
    ]
    return "\n".join([*lines, ""]).encode()


def _said(argv: list[str], environment: Mapping[str, str] = os.environ) -> bytes:
    """Return everything that a program says; its errors are among what a report is read for."""
    return ask(argv, environment, errors=True).out


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
