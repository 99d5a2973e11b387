"""What goes into a report. Each piece is asked for by itself, side by side, in bounded time."""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab import __version__
from sopslab.config.naming import git_namespace, git_server_name, network_name, node_name
from sopslab.lab.observe.versions import look_at_tools
from sopslab.lab.support.coverage import Coverage
from sopslab.lab.tools.flux import CONTROLLERS
from sopslab.lab.tools.programs import ask, git_environment, lab_environment
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
# Nodes without what tells of others who use them: their pods, images, labels and taints.
_NODES = (
    "{{range .items}}{{.metadata.name}} {{.status.nodeInfo}} {{.status.allocatable}}"
    " {{.status.conditions}} {{range .spec.taints}}{{.effect}} {{end}}"
    '{{"\\n"}}{{end}}'
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


def collect(settings: Settings, executor: Executor, coverage: Future[Coverage]) -> Collected:
    """Return everything that a report tells, as it was said, secrets not yet taken out.

    + coverage: which namespaces it is about
    """
    asked = [
        (piece.name, executor.submit(piece.look)) for piece in pieces(settings, executor, coverage)
    ]
    files, missing = {}, []
    for name, answer in asked:
        try:
            files[name] = _end(answer.result())
        except (Undecided, OSError) as error:
            missing.append(f"{name}: {error}")
    return Collected(files, missing)


def _end(content: bytes) -> bytes:
    """Return as much of a piece as a report has, in whole lines: of a secret that was cut, nothing
    would recognise what is left."""
    return content if len(content) <= _MOST else content[-_MOST:].partition(b"\n")[2]


def pieces(settings: Settings, executor: Executor, coverage: Future[Coverage]) -> Iterator[Piece]:
    """Yield the pieces of a report on a lab.

    + coverage: which namespaces it is about
    """
    yield Piece("machine.json", lambda: _json(_machine()))
    yield Piece("settings.json", lambda: _json(settings.model_dump(exclude={"git_password"})))
    yield Piece("tools.txt", lambda: _tools(settings, executor))
    for log in sorted((Path(settings.lab_dir) / "log").glob("*")):
        yield Piece(f"runs/{log.name}", log.read_bytes)
    yield from _from_docker(settings)
    yield from _from_cluster(settings, coverage)
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


def _from_cluster(settings: Settings, coverage: Future[Coverage]) -> Iterator[Piece]:
    cluster = _Cluster(settings, coverage)
    yield Piece("cluster/version.txt", partial(cluster.say, "version"))
    yield Piece("cluster/nodes.txt", cluster.nodes)
    yield Piece("cluster/pods.txt", cluster.listing("pods", "wide"))
    yield Piece("cluster/namespaces.txt", cluster.namespaces)
    yield Piece("cluster/secrets.txt", cluster.listing("secrets", f"go-template={_SECRETS}"))
    events = cluster.listing("events", "wide", "--sort-by=.lastTimestamp")
    yield Piece("cluster/events.txt", events)
    deployments = cluster.inside(FLUX_NAMESPACE, "get", "deployments", "--output", "yaml")
    yield Piece("flux/deployments.yaml", deployments)
    for kind in ("gitrepositories", "kustomizations", "receivers"):
        yield Piece(f"flux/{kind}.yaml", cluster.listing(kind, "yaml"))
    for name in CONTROLLERS:
        log = cluster.inside(FLUX_NAMESPACE, "logs", f"deployment/{name}", "--tail", _LINES)
        yield Piece(f"flux/{name}.log", log)
    if settings.git_pod is not None:
        there = git_namespace(settings.lab)
        yield Piece("cluster/git.log", cluster.inside(there, "logs", POD, "--tail", _LINES))
        yield Piece("cluster/git.txt", cluster.inside(there, "describe", "statefulset,pod"))


class _Cluster:
    """The lab's cluster, asked about the namespaces that a report is about."""

    def __init__(self, settings: Settings, coverage: Future[Coverage]) -> None:
        self._settings, self._coverage = settings, coverage

    def say(self, *arguments: str) -> bytes:
        """Return what kubectl says."""
        settings = self._settings
        command = [
            f"{settings.bin_dir}/kubectl", "--kubeconfig", settings.lab_kubeconfig,
            "--context", settings.lab_context, "--request-timeout", "8s", *arguments,
        ]  # fmt: skip
        return _said(command, lab_environment(settings))

    def nodes(self) -> bytes:
        """Return what kubectl says about nodes, which may run others' pods."""
        if self._settings.cluster_provider == "kind":
            return self.say("describe", "nodes")
        return self.say("get", "nodes", "--output", f"go-template={_NODES}")

    def namespaces(self) -> bytes:
        """Return what kubectl says about the namespaces."""
        names = self._coverage.result().namespaces
        if names is not None and not names:
            return b""
        return self.say("get", "namespaces", "--show-labels", *(names or ()))

    def listing(self, kind: str, form: str, *options: str) -> Callable[[], bytes]:
        """Return a look at the objects of a kind in the namespaces.

        + form: how kubectl shows them
        """

        def look() -> bytes:
            shown = ("--output", form, *options)
            scopes = self._coverage.result().scopes
            return b"---\n".join(self.say("get", kind, *one.arguments, *shown) for one in scopes)

        return look

    def inside(self, namespace: str, *arguments: str) -> Callable[[], bytes]:
        """Return a look at something in a namespace."""

        def look() -> bytes:
            if not self._coverage.result().has(namespace):
                raise Undecided(f"the namespace {namespace} is not the lab's")
            return self.say("--namespace", namespace, *arguments)

        return look


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
