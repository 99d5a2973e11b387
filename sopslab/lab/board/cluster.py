"""What the cluster has of all seats: three questions, side by side, for a class of any size."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sopslab.checks.snapshot import NOT_ASKED, LiveSecret, Snapshot
from sopslab.course.chapter import UP
from sopslab.lab.observe.cluster import Objects, owner_of
from sopslab.lab.observe.keys import PublicKeys, key_files, look_at_cluster_key
from sopslab.lab.tools.kubectl import parsed
from sopslab.lab.tools.programs import ask, kubectl
from sopslab.layout import GIT_REPOSITORIES, KEY_SECRET, KUSTOMIZATIONS, SEAT_LABEL
from sopslab.model.builds import HELD_S, build_of
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_PATIENCE = 10.0  # seconds for each question
_ASKED = ("Namespace", "GitRepository", "Kustomization")
_KINDS = f"namespaces,{GIT_REPOSITORIES},{KUSTOMIZATIONS}"
# Everything of a Secret but its values: where, name, whether Flux leaves it, labels, an empty
# field, keys.
_WITHOUT_VALUES = (
    "{{range .items}}{{.metadata.namespace}}"
    '{{"\\t"}}{{.metadata.name}}'
    '{{"\\t"}}{{with .metadata.annotations}}'
    '{{index . "kustomize.toolkit.fluxcd.io/reconcile"}}{{end}}'
    '{{range $name, $value := .metadata.labels}}{{"\\t"}}{{$name}}={{$value}}{{end}}{{"\\t"}}'
    '{{range $key, $value := .data}}{{"\\t"}}{{$key}}{{end}}{{"\\n"}}{{end}}'
)


def ask_everywhere(settings: Settings, executor: Executor) -> list[Future[str]]:
    """Begin to ask all namespaces, and return the answers to come, which may raise Undecided."""
    of_keys = ("secrets", "--field-selector", f"metadata.name={KEY_SECRET}")
    return [
        executor.submit(_ask, settings, *arguments)
        for arguments in (
            (_KINDS, "--selector", SEAT_LABEL, "--output", "json"),
            (*of_keys, "--selector", SEAT_LABEL, "--output", "json"),
            ("secrets", "--output", f"go-template={_WITHOUT_VALUES}"),
        )
    ]


class Everywhere:
    """The answers of all namespaces. Raises Undecided where they cannot be understood."""

    def __init__(self, answers: Sequence[str], public: PublicKeys) -> None:
        objects, keys, secrets = answers
        items = parsed(objects.encode())["items"]
        self._public = public
        self._objects = Objects(items, _ASKED, ())
        self.holder = holder(items, datetime.now(UTC))
        self._keys = {
            one["metadata"]["namespace"]: one.get("data") or {}
            for one in parsed(keys.encode())["items"]
        }
        self._live: dict[str, dict[str, LiveSecret]] = {}
        for line in secrets.splitlines():
            namespace, name, secret = _without_values(line)
            self._live.setdefault(namespace, {})[name] = secret
        public.learn(file for data in self._keys.values() for file in key_files(data).values())

    def of(self, seen: Snapshot) -> Snapshot:
        """Return a look at a seat with what is its own."""
        environment = seen.environment
        return replace(
            self._objects.of(seen),
            key=look_at_cluster_key(self._keys.get(environment.system), self._public),
            live=self._live.get(environment.namespace, {}),
        )


def holder(objects: Sequence[Object], now: datetime) -> str:
    """Return the seat of the oldest build that is no ordinary one any more, empty without one."""
    held = []
    for one in objects:
        build = build_of(condition(one, "Reconciling"))
        if one["kind"] == "Kustomization" and build is not None and build.age(now) > HELD_S:
            held.append((build.since, str(one["metadata"]["labels"][SEAT_LABEL])))
    return min(held)[1] if held else ""


def _ask(settings: Settings, *arguments: str) -> str:
    answer = ask(
        kubectl(settings, "get", *arguments, "--all-namespaces"),
        {**os.environ, "KUBECACHEDIR": settings.kube_cache},
        patience=_PATIENCE,
    )
    if answer.code:
        raise Undecided("the cluster could not be asked", UP)
    return answer.text


def _without_values(line: str) -> tuple[str, str, LiveSecret]:
    namespace, name, reconcile, *rest = line.split("\t")
    end = rest.index("")
    labels = dict(label.split("=", 1) for label in rest[:end])
    keys = frozenset(rest[end + 1 :])
    return (
        namespace,
        name,
        LiveSecret(keys, NOT_ASKED, owner_of(labels), left_alone=reconcile == "disabled"),
    )
