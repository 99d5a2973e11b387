"""The parts of a lab: cluster, Git server, and what Flux has for the learner who is here."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sopslab.checks.causes import meaning
from sopslab.checks.class_clusters import find_class_problems, find_enforcement_problems
from sopslab.checks.clusters import accepted, find_problems, find_reach_problems, refused
from sopslab.checks.delivery import Why, applied_revision, in_words, read_revision, standing
from sopslab.checks.objects import kustomization, source, tenant
from sopslab.checks.rules.platform import examine_controllers
from sopslab.checks.snapshot import Snapshot
from sopslab.checks.storage import find_storage_problems
from sopslab.config.enrolled import read_enrolled
from sopslab.config.environment import solo
from sopslab.config.naming import git_server_name, node_name
from sopslab.files.seat_limits import seat_limits
from sopslab.lab.observe.environments import look_in
from sopslab.lab.observe.existing import cluster_traits, reach_of
from sopslab.lab.observe.git_pod import server_trouble
from sopslab.lab.tools.docker import ask_docker
from sopslab.lab.tools.files import has_content
from sopslab.layout import FLUX_NAMESPACE, NAMESPACE
from sopslab.model.clusters import Problem
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided
from sopslab.model.trouble import Trouble

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_PATIENCE = 10  # seconds for docker


@dataclass(frozen=True)
class Part:
    """A part of the lab: whether it is up, its state in words, and where it is."""

    name: str
    up: bool
    state: str
    where: str


def look_at_parts(settings: Settings, executor: Executor) -> Callable[[], list[Part]]:
    """Begin to look at all parts of the lab, and return what waits for the end of that."""
    below = [executor.submit(part) for part in _foundations(settings)]
    flux: Future[list[Part]] = executor.submit(flux_parts, settings)
    return lambda: [*(part.result() for part in below), *flux.result()]


def _foundations(settings: Settings) -> list[Callable[[], Part]]:
    """Return the questions about what the lab stands on: its cluster and its Git server."""
    questions: list[Callable[[], Part]] = []
    if settings.cluster_provider == "kind":
        node = node_name(settings.lab)
        questions.append(partial(_container, "node", node, settings.lab_context))
    else:
        questions.append(partial(_existing, settings))
    if settings.git_embedded:
        server = git_server_name(settings.lab)
        address = f"{settings.git_base_url}/{settings.learner_repository}.git"
        questions.append(partial(_container, "git", server, address))
    elif settings.git_pod is not None:
        questions.append(partial(_git_in_cluster, settings))
    return questions


def _git_in_cluster(settings: Settings) -> Part:
    """Return whether the Git server in the cluster serves."""
    address = f"{settings.git_base_url}/{settings.learner_repository}.git"
    try:
        trouble = server_trouble(settings.for_machine)
    except Undecided as reason:
        trouble = reason.found
    return Part("git", trouble is None, trouble or "serving", address)


def _existing(settings: Settings) -> Part:
    """Return whether a cluster that the lab did not make is still fit for it, and what it lacks
    and the lab file accepts."""
    where = f"context {settings.context}"
    if not has_content(settings.lab_kubeconfig):
        return Part("cluster", False, "not there", where)
    problems, accept = _lacking(settings), frozenset(settings.accept)
    if refused(problems, accept):
        return Part("cluster", False, "; ".join(refused(problems, accept)), where)
    without = "; ".join(f"accepted: {sentence}" for sentence in accepted(problems, accept))
    return Part("cluster", True, without or "fit for the lab", where)


def accepted_lacks(settings: Settings) -> list[str]:
    """Return in sentences what the cluster lacks and the lab file accepts; nothing of one that the
    lab made. Raises LabError where the record of who has a seat cannot be read."""
    if settings.cluster_provider == "kind" or not has_content(settings.lab_kubeconfig):
        return []
    return accepted(_lacking(settings), frozenset(settings.accept))


def _lacking(settings: Settings) -> list[Problem]:
    """Return what a cluster that the lab did not make lacks now, and what was found out of it."""
    seats = [seat.id for seat in read_enrolled(settings)]
    traits = cluster_traits(settings, settings.lab_kubeconfig, seats)
    problems = find_problems(traits)
    if (git := settings.git_in_cluster) is not None:
        problems += find_storage_problems(traits, git.storage_class, git.size)
    if seats:
        problems += find_class_problems(traits, seat_limits())
    if (known := reach_of(settings)) is not None:
        there = {node.name for node in traits.nodes or () if node.usable}
        reached = {name: reach for name, reach in known.nodes.items() if name in there}
        problems += find_reach_problems(reached, known.git)
        if seats:
            problems += find_enforcement_problems(reached, known.admission)
    return problems


def _container(name: str, container: str, where: str) -> Part:
    asked = ("container", "inspect", "--format", "{{.State.Status}}", container)
    try:
        answer = ask_docker(*asked, patience=_PATIENCE)
    except Undecided as reason:
        return Part(name, False, reason.found, where)
    state = answer.text if answer.code == 0 else "not there"
    return Part(name, state == "running", state, where)


def flux_parts(settings: Settings) -> list[Part]:
    """Return Flux itself, what delivers the Secrets of the learner who is here, and what makes
    that."""
    one = solo(settings)
    named = (
        ("kustomization", one.tenant, tenant),
        ("gitrepository", one.source, source),
        ("kustomization", one.kustomization, kustomization),
    )
    try:
        seen = look_in(settings, one)
    except Undecided as reason:
        no_cluster = reason.found == Trouble.NO_KUBECONFIG.value
        state = "not there" if no_cluster else reason.found
        objects = [_part(kind, name, up=False, state=state) for kind, name, _ in named]
        return [Part("flux", False, state, FLUX_NAMESPACE), *objects]
    return [_controllers(seen), *(_flux_part(kind, name, find(seen)) for kind, name, find in named)]


def _controllers(seen: Snapshot) -> Part:
    lacks = [one.told for one in examine_controllers(seen)]
    return Part("flux", not lacks, " ".join(lacks) or "its controllers run", FLUX_NAMESPACE)


def _flux_part(kind: str, name: str, found: Object | None) -> Part:
    late = standing(found, name, NAMESPACE)
    if found is None or late is None:
        revision = read_revision(found) or applied_revision(found)
        state = "not there" if found is None else f"ready, at {in_words(revision)}"
        return _part(kind, name, up=late is None, state=state)
    state = {
        Why.DELETED: "being deleted",
        Why.SUSPENDED: "suspended",
        Why.UNSEEN: "its present form has not been looked at yet",
    }.get(late.why) or meaning(found["kind"], condition(found, "Ready"), name, NAMESPACE)
    return _part(kind, name, up=False, state=state)


def _part(kind: str, name: str, *, up: bool, state: str) -> Part:
    return Part(kind, up, state, f"{kind}/{name} in {FLUX_NAMESPACE}")
