"""What tests see of a lab from outside: its state without random parts, and running commands."""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from typing_extensions import override

from tests.cluster.lab import Lab, run

# Kinds whose objects come and go by themselves, or have random names.
_PASSING = re.compile(
    r"events(\.events\.k8s\.io)?|endpoints|endpointslices\..*|leases\..*|ipaddresses\..*"
    r"|certificatesigningrequests\..*|componentstatuses|.*\.metrics\.k8s\.io"
)
_CHANCE = [
    (re.compile(r"^(Pod/.*)-[a-z0-9]{5}$"), r"\1-*"),
    (re.compile(r"^(Secret/kube-system/bootstrap-token)-[a-z0-9]{6}$"), r"\1-*"),
    (re.compile(r"^(ClusterTrustBundle/.*):[0-9a-f]{24}$"), r"\1:*"),
]
# Below these folders git, kubectl, pre-commit and the log name files by content, port or time.
_OPAQUE = re.compile(r"log|kube-cache|pre-commit|observed\.git|platform/\.git|work/\.git|.*\.git")
_FOREIGN = """apiVersion: v1
kind: Config
current-context: production
clusters: [{{name: production, cluster: {{server: "https://127.0.0.1:1", {more}}}}}]
users: [{{name: admin, user: {{token: not-a-real-token}}}}]
contexts: [{{name: production, context: {{cluster: production, user: admin}}}}]
"""


def foreign_kubeconfigs(home: Path) -> dict[Path, bytes]:
    """Write two kubeconfigs of another cluster, ~/.kube/config and one for the variable KUBECONFIG;
    return their content.

    The first one is locked, as a killed client leaves it.
    """
    default, named = home / ".kube" / "config", home / "production"
    default.parent.mkdir(parents=True)
    default.write_text(_FOREIGN.format(more="insecure-skip-tls-verify: true"))
    named.write_text(_FOREIGN.format(more="tls-server-name: production"))
    lock = default.with_name("config.lock")
    lock.touch()
    return {path: path.read_bytes() for path in (default, named, lock)}


class Watch(ABC):
    """Looks at something again and again while its block runs. If it could not look to the end, or
    has seen nothing, the block fails."""

    _PAUSE_S: float

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._error: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join(timeout=30)
        if kind is None:
            assert not self._thread.is_alive(), "the last look does not end"
            assert self._error is None, self._error
            assert self.has_seen, "what is watched was not there to be seen"

    @abstractmethod
    def look(self) -> None:
        """Look once."""

    @property
    @abstractmethod
    def has_seen(self) -> bool:
        """Whether enough was seen to judge by."""

    def _watch(self) -> None:
        try:
            while not self._over.wait(self._PAUSE_S):
                self.look()
        except BaseException as error:
            self._error = error


class CommandLines(Watch):
    """Collects the command lines of all processes of the machine while its block runs. One of them
    has to be that of `sopslab`."""

    _PAUSE_S = 0.03

    def __init__(self) -> None:
        super().__init__()
        self.lines: set[bytes] = set()

    @property
    @override
    def has_seen(self) -> bool:
        return self.contain("sopslab")

    def contain(self, words: str | bytes) -> bool:
        """Return whether a command line contains these words."""
        sought = os.fsencode(words)
        return any(sought in line for line in self.lines)

    @override
    def look(self) -> None:
        for process in Path("/proc").iterdir():
            if process.name.isdigit():
                with contextlib.suppress(OSError):
                    self.lines.add((process / "cmdline").read_bytes())


def descendants(parent: int) -> dict[int, str]:
    """Return the processes below `parent`, each with its command line."""
    children: dict[int, list[int]] = {}
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                words = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            children.setdefault(int(words[1]), []).append(int(entry.name))
    found: dict[int, str] = {}
    waiting = list(children.get(parent, ()))
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, ())
        try:
            found[pid] = Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
        except OSError:
            continue
    return found


def normal_state(lab: Lab) -> dict[str, set[str]]:
    """Return the lab as names and modes, without what differs between two equal labs.

    First it waits until Flux has everything ready.
    """
    lab.kubectl(
        "-n", "flux-system", "wait", "--for=condition=Ready", "--timeout=90s",
        "kustomizations.kustomize.toolkit.fluxcd.io,gitrepositories.source.toolkit.fluxcd.io,"
        "receivers.notification.toolkit.fluxcd.io", "--all",
    )  # fmt: skip
    lab.kubectl("wait", "--for=condition=Available", "--timeout=90s", "deployments", "--all", "-A")
    return {
        "containers": _containers(lab),
        "rules": set(lab.rules()),
        "objects": _objects(lab),
        "files": _files(Path(lab.settings.lab_dir)),
        "platform": _tree(lab.bare.parents[1] / "platform.git"),
        "repository": {line.split("\t")[1] for line in _tree(lab.bare)},
    }


def _containers(lab: Lab) -> set[str]:
    text = '{{.Names}} {{.Image}} {{.State}} {{.Networks}} {{.Label "sops-lab.config"}}'
    return set(
        run(
            ["docker", "ps", "--all", "--filter", f"network={lab.network}", "--format", text]
        ).stdout.splitlines()
    )


def _objects(lab: Lab) -> set[str]:
    kinds = [
        kind
        for kind in lab.kubectl("api-resources", "--verbs=list", "--output=name").split()
        if not _PASSING.fullmatch(kind)
    ]
    listing = lab.kubectl(
        "get", ",".join(kinds), "--all-namespaces", "--output",
        r'jsonpath={range .items[*]}{.kind}/{.metadata.namespace}/{.metadata.name}{"\n"}{end}',
    )  # fmt: skip
    found = set()
    for line in listing.splitlines():
        for pattern, replacement in _CHANCE:
            line = pattern.sub(replacement, line)
        found.add(line)
    return found


def _files(top: Path) -> set[str]:
    found = set()
    for folder, folders, files in os.walk(top):
        relative = Path(folder).relative_to(top)
        for name in folders + files:
            path = relative / name
            mode = stat.S_IMODE((top / path).lstat().st_mode)
            found.add(f"{path} {mode:o}")
        folders[:] = [name for name in folders if not _OPAQUE.fullmatch(str(relative / name))]
    return found


def _tree(repository: Path) -> set[str]:
    return set(run(["git", "ls-tree", "-r", "refs/heads/main"], cwd=repository).stdout.splitlines())


class Readiness(Watch):
    """Looks every 200 ms, while its block runs, whether each `secrets-*` Kustomization is ready.

    For a moment of each reconciliation Flux says `Unknown`, with the reason `Progressing`. These
    samples are counted in `at_work`; every other status but `True` is a failure.
    """

    _PAUSE_S = 0.2

    def __init__(self, lab: Lab) -> None:
        super().__init__()
        self._lab = lab
        self.samples = 0
        self.at_work = 0
        self.failures: list[str] = []

    @property
    @override
    def has_seen(self) -> bool:
        return self.samples > 5

    @property
    def said(self) -> str:
        """What was seen, in words."""
        return f"{self.samples} samples, {self.at_work} at work, {len(self.failures)} failures"

    @override
    def look(self) -> None:
        listing = self._lab.kubectl(
            "get", "kustomizations.kustomize.toolkit.fluxcd.io", "-A", "-o", "json"
        )
        for one in json.loads(listing)["items"]:
            if one["metadata"]["name"].startswith("secrets-"):
                self._judge(one)

    def _judge(self, found: dict[str, Any]) -> None:
        self.samples += 1
        conditions = found.get("status", {}).get("conditions", [])
        ready: Mapping[str, Any] = next((one for one in conditions if one["type"] == "Ready"), {})
        if ready.get("status") == "Unknown" and ready.get("reason") == "Progressing":
            self.at_work += 1
        elif ready.get("status") != "True":
            place = found["metadata"]["namespace"]
            self.failures.append(f"{place}: {ready.get('reason')}: {ready.get('message')}")
