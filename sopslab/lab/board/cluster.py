"""What the cluster has of all seats: three questions, side by side, for a class of any size.

They go to kubectl, since the kubernetes package takes longer to import than kubectl to answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from datetime import UTC, datetime
from typing import Any

from sopslab.checks.board.seen import InCluster, Live
from sopslab.checks.verification.cluster import HELD_S, build_of
from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.course.chapter import SECRET, UP
from sopslab.lab.observe.keys import PublicKeys, key_files, look_at_cluster_key
from sopslab.lab.tools.programs import ask, kubectl
from sopslab.layout import FLUX_NAMESPACE, KEY_SECRET
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided

SEAT = "sops-lab/seat"
_PATIENCE = 10.0  # seconds for each question
_KINDS = ",".join(
    (
        "namespaces",
        "gitrepositories.source.toolkit.fluxcd.io",
        "kustomizations.kustomize.toolkit.fluxcd.io",
    )
)
# Everything of a Secret but its values: namespace, labels, an empty field, keys.
_WITHOUT_VALUES = (
    "{{range .items}}{{.metadata.namespace}}"
    '{{range $name, $value := .metadata.labels}}{{"\\t"}}{{$name}}={{$value}}{{end}}{{"\\t"}}'
    '{{range $key, $value := .data}}{{"\\t"}}{{$key}}{{end}}{{"\\n"}}{{end}}'
)


def ask_everywhere(settings: Settings, executor: Executor) -> list[Future[str]]:
    """Begin to ask all namespaces, and return the answers to come, which may raise Undecided."""
    return [
        executor.submit(_ask, settings, *arguments)
        for arguments in (
            (_KINDS, "--selector", SEAT, "--output", "json"),
            (*_named(KEY_SECRET), "--selector", SEAT, "--output", "json"),
            (*_named(SECRET), "--output", f"go-template={_WITHOUT_VALUES}"),
        )
    ]


class Everywhere:
    """The answers of all namespaces. Raises Undecided where they cannot be understood."""

    def __init__(self, answers: Sequence[str], public: PublicKeys) -> None:
        objects, keys, secrets = answers
        self._public = public
        self._objects: dict[tuple[str, str, str], Object] = {}
        self._tenants: dict[str, Object] = {}
        for one in _items(objects):
            kind, metadata = str(one["kind"]), one["metadata"]
            namespace = str(metadata.get("namespace", ""))
            self._objects[kind, namespace, str(metadata["name"])] = one
            if (kind, namespace) == ("Kustomization", FLUX_NAMESPACE):
                self._tenants[metadata["labels"][SEAT]] = one
        self._holder = holder(list(self._objects.values()), datetime.now(UTC))
        self._keys = {key["metadata"]["namespace"]: key.get("data") or {} for key in _items(keys)}
        self._secrets = dict(map(_without_values, secrets.splitlines()))
        public.learn(file for data in self._keys.values() for file in key_files(data).values())

    def of(self, environment: Environment) -> InCluster:
        """Return what of it is one seat's."""
        system = environment.system
        spaces = {
            name: str((space.get("status") or {}).get("phase", ""))
            for name in (environment.namespace, system)
            if (space := self._objects.get(("Namespace", "", name))) is not None
        }
        return InCluster(
            spaces,
            self._tenants.get(environment.id),
            self._objects.get(("GitRepository", system, environment.source)),
            self._objects.get(("Kustomization", system, environment.kustomization)),
            look_at_cluster_key(self._keys.get(system), self._public),
            self._secrets.get(environment.namespace),
            self._holder,
        )


def holder(objects: Sequence[Object], now: datetime) -> str:
    """Return the seat of the oldest build that is no ordinary one any more, empty without one."""
    held = []
    for one in objects:
        build = build_of(condition(one, "Reconciling"))
        if one["kind"] == "Kustomization" and build is not None and build.age(now) > HELD_S:
            held.append((build.since, str(one["metadata"]["labels"][SEAT])))
    return min(held)[1] if held else ""


def _named(secret: str) -> tuple[str, str, str]:
    return "secrets", "--field-selector", f"metadata.name={secret}"


def _ask(settings: Settings, *arguments: str) -> str:
    answer = ask(
        kubectl(settings, "get", *arguments, "--all-namespaces"),
        {**os.environ, "KUBECACHEDIR": settings.kube_cache},
        patience=_PATIENCE,
    )
    if answer.code:
        raise Undecided("the cluster could not be asked", UP)
    return answer.text


def _items(answer: str) -> list[dict[str, Any]]:
    try:
        return list(json.loads(answer)["items"])
    except (ValueError, KeyError, TypeError):
        raise Undecided("the cluster did not answer in JSON", UP) from None


def _without_values(line: str) -> tuple[str, Live]:
    namespace, *rest = line.split("\t")
    end = rest.index("")
    labels = dict(label.split("=", 1) for label in rest[:end])
    return namespace, Live(labels, frozenset(rest[end + 1 :]))
