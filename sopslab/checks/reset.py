"""What a reset does to an environment, in sentences, for the run and for `--dry-run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sopslab.checks.delivery import Pending
from sopslab.checks.namespaces import InTheWay
from sopslab.config.environment import Environment
from sopslab.course.chapter import SECRET
from sopslab.model.objects import Object
from sopslab.model.repositories import CloneState, RepositoryState
from sopslab.model.words import counted


@dataclass(frozen=True)
class Standing:
    """How an environment compares with a checkpoint.

    `in_the_way` and `pending` are None if the cluster does not answer. `clone` is None if there is
    no clone. `drill` is where commits on top of a drill will be kept, None if no drill is staged.
    """

    environment: Environment
    repository: RepositoryState
    clone: CloneState | None
    in_the_way: InTheWay | None
    pending: tuple[Pending, ...] | None
    drill: str | None


def saved_branch(now: datetime) -> str:
    """Return the branch on which a reset keeps the commits that it overwrites.

    + now: the time of the reset
    """
    return f"saved/{now:%Y%m%dT%H%M%SZ}"


def awaited_secrets(checkpoint: str) -> list[str]:
    """Return the names of the Secrets that have to be in the cluster at a checkpoint."""
    return [SECRET] if checkpoint == "done" else []


def reset_plan(standing: Standing, checkpoint: str, work_dir: str) -> list[str]:
    """Return sentences about what a reset would do to an environment; none if the environment is
    already at the checkpoint.

    + work_dir: the learner's clone
    """
    if standing.drill is not None:
        sentences = [f"its drill ends, what is on top of it kept in {standing.drill}"]
    else:
        sentences = repository_plan(standing.repository, checkpoint)
        if standing.clone is not None:
            sentences += clone_plan(work_dir, standing.clone)
    sentences += _namespace_plan(standing.environment, standing.in_the_way)
    if not sentences and standing.pending != ():
        said = standing.pending[0].said if standing.pending else "it does not answer"
        sentences.append(f"Flux is asked again: {said}")
    return sentences


def _namespace_plan(environment: Environment, found: InTheWay | None) -> list[str]:
    problem = hopeless(environment, found)
    if problem is not None or found is None:
        return [problem or ""]
    return environment_plan(found)


def repository_plan(state: RepositoryState, checkpoint: str) -> list[str]:
    """Return sentences about what a reset does to a repository."""
    if state.problem is not None:
        return [state.problem]
    if state.there:
        return []
    sentences = [f"main goes to the checkpoint {checkpoint}"]
    if state.lost:
        kept = counted(state.lost, "commit")
        sentences.append(f"{kept} of main kept on the branch {state.saved}")
    return sentences


def clone_plan(work_dir: str, state: CloneState) -> list[str]:
    """Return sentences about what a reset does to the clone."""
    if state.there:
        return []
    kept = []
    if state.unpushed:
        kept.append(counted(state.unpushed, "commit") + " not pushed")
    if state.uncommitted:
        kept.append(counted(state.uncommitted, "file") + " not committed")
    sentences = [f"{work_dir} goes to main"]
    if kept:
        sentences.append(f"{' and '.join(kept)}, kept on the branch {state.saved} of {work_dir}")
    return sentences


def hopeless(environment: Environment, found: InTheWay | None) -> str | None:
    """Return why a namespace cannot be cleared, None if it can."""
    if found is None:
        return "the cluster does not answer: `sopslab status` tells more"
    # On a lab without a class, the reset itself applies the objects that make the environment.
    if found.untended and environment.is_seat:
        return f"Flux has no Kustomization {environment.tenant}: `sopslab up` brings it back"
    return None


def environment_plan(found: InTheWay) -> list[str]:
    """Return sentences about what a reset does to the namespaces."""
    sentences = [
        f"the namespace {name}, which is being deleted, is made anew" for name in found.going
    ]
    sentences += [f"the namespace {name}, which is gone, is made anew" for name in found.absent]
    # An object that a controller has made is not named: it disappears with its owner.
    strays = [_named(stray.what) for stray in found.strays if not stray.made]
    if strays:
        sentences.append(f"deleted: {_listed(strays)}")
    if found.missing and not found.going and not found.absent:
        sentences.append(f"made anew: {_listed([_in_words(key) for key in found.missing])}")
    if found.suspended:
        sentences.append(f"resumed: {_listed([_named(one) for one in found.suspended])}")
    return sentences


def _named(found: Object) -> str:
    return f"{found['kind']}/{found['metadata']['name']}"


def _in_words(inventory_id: str) -> str:
    _, name, _, kind = inventory_id.split("_", 3)
    return f"{kind}/{name}"


def _listed(things: Sequence[str]) -> str:
    shown = ", ".join(things[:10])
    return shown if len(things) <= 10 else f"{shown} and {len(things) - 10} more"
