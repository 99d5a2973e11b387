"""What the cluster has of environments, one or many, in one look for all of them.

Operations decide by these looks. No value of a Secret is kept.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sopslab.checks.board.steps import chapter_at
from sopslab.checks.objects import kustomization
from sopslab.checks.snapshot import LiveSecret, Snapshot
from sopslab.config.environment import Environment
from sopslab.config.places import Lab, Places
from sopslab.course.chapter import UP, Chapter
from sopslab.lab.observe.objects import (
    DELIVERY,
    Objects,
    ask_for,
    contents_of,
    listed_in,
    live_secret,
    path_of,
    whole_list,
)
from sopslab.lab.observe.scopes import EVERYWHERE, scopes_of
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.objects import Live, Object
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble

# On a small machine that is busy with a class, the API server takes long to list all seats.
_PATIENCE_S = 20.0


def begun(places: Places, environment: Environment, chapter: Chapter | None = None) -> Snapshot:
    """Return the snapshot of an environment before anything has been looked at."""
    url = f"{places.git_base_cluster_url}/{environment.repository}.git"
    return Snapshot(environment, chapter or chapter_at(environment), url)


def look_in(places: Places, environment: Environment) -> Snapshot:
    """Return a snapshot of one environment with its nodes and controllers, and with all sources and
    Kustomizations in the namespace of its Flux objects. Raises Undecided if the cluster cannot be
    asked."""
    kinds = ("Node", "Deployment", "GitRepository", "Kustomization")
    where = ("--namespace", environment.system)
    objects = ask_for(_kubectl(places), kinds, *where, patience=_PATIENCE_S)
    return objects.of(begun(places, environment))


def look(
    lab: Lab,
    environments: Iterable[Environment],
    secrets: Iterable[str] = (),
) -> dict[str, Snapshot]:
    """Return for each environment what the cluster has of it, by the learner's id. Raises Undecided
    if the cluster cannot be asked.

    + secrets: the names of the Secrets to look for in every environment
    """
    kubectl, asked = _kubectl(lab), list(environments)
    objects = ask_for(kubectl, DELIVERY, EVERYWHERE, patience=_PATIENCE_S)
    seen = {one.id: objects.of(begun(lab, one)) for one in asked}
    wanted = sorted(set(secrets))
    if not wanted:
        return seen
    spaces = [one.namespace for one in asked]
    live: list[Object] = []
    for name in wanted:
        scopes = scopes_of(lab, kubectl, spaces, f"metadata.name={name}")
        live += listed_in(kubectl, "secrets", scopes)
    found = _live_secrets(live)
    return {
        who: replace(one, live=found.get(one.environment.namespace, {}))
        for who, one in seen.items()
    }


def look_at_kustomizations(lab: Lab, environments: Iterable[Environment]) -> dict[str, Snapshot]:
    """Return for each environment its Kustomizations in the cluster, by the learner's id. Raises
    Undecided if the cluster cannot be asked."""
    kind = "Kustomization"
    said = whole_list(_kubectl(lab), path_of(kind), patience=_PATIENCE_S)
    found, unknown = ([], (kind,)) if said is None else (said["items"], ())
    objects = Objects(found, (kind,), unknown)
    return {one.id: objects.of(begun(lab, one)) for one in environments}


def look_into(lab: Lab, environments: Sequence[Environment]) -> dict[str, Snapshot]:
    """Return the same as `look`, and everything that is in the environments' own namespaces."""
    kubectl = _kubectl(lab)
    objects = ask_for(kubectl, DELIVERY, EVERYWHERE, patience=_PATIENCE_S)
    scopes = scopes_of(lab, kubectl, [one.namespace for one in environments])
    inside = contents_of(kubectl, scopes)
    live = _live_secrets(one for one in inside if one["kind"] == "Secret")
    contents = Live(map(_without_values, [*objects.items, *inside]))
    return {
        one.id: replace(
            objects.of(begun(lab, one)), live=live.get(one.namespace, {}), contents=contents
        )
        for one in environments
    }


def _kubectl(places: Places) -> Kubectl:
    if not has_content(places.lab_kubeconfig):
        raise Undecided(Trouble.NO_KUBECONFIG.value, UP)
    return Kubectl(places)


def own_kustomizations(lab: Lab, environments: Sequence[Environment]) -> dict[str, Object]:
    """Return the Kustomizations that deliver the environments' Secrets, by the learner's id. An
    environment is left out if its Kustomization does not exist or cannot be seen."""
    try:
        seen = look_at_kustomizations(lab, environments)
    except Undecided:
        return {}
    found = {who: kustomization(one) for who, one in seen.items()}
    return {who: one for who, one in found.items() if one is not None}


def _live_secrets(found: Iterable[Object]) -> Mapping[str, Mapping[str, LiveSecret]]:
    """Return Secrets by namespace and name, without their values."""
    secrets: dict[str, dict[str, LiveSecret]] = {}
    for one in found:
        metadata = one["metadata"]
        named = secrets.setdefault(metadata.get("namespace") or "", {})
        named[metadata["name"]] = live_secret(one)
    return secrets


def _without_values(found: Object) -> Object:
    return {key: value for key, value in found.items() if key not in ("data", "stringData")}
