"""Judges what was seen of a seat, step by step. Pure.

The board has no time to decrypt all values of a class. A Secret counts as the one on main if Flux
made it, if it has the keys of the file, and if Flux reports main as last applied. `sopslab verify`
compares the values, one learner at a time. The board does not search the history for plain text
either, because the Git server's hook has checked every push.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sopslab.checks import exercise, objects
from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import STEPS, Progress, Row, Step
from sopslab.checks.objects import failure
from sopslab.checks.rules import content, delivery, key, machine, platform, source
from sopslab.checks.rules.table import Examined, Rule, ask
from sopslab.checks.snapshot import Snapshot, known
from sopslab.course.chapter import UP
from sopslab.model.objects import Object
from sopslab.model.results import Undecided, Verdict, failed
from sopslab.policy.printing import in_one_line

if TYPE_CHECKING:
    from sopslab.config.settings import Seat

# The rules that are cheap enough for a whole class.
RULES: Mapping[str, tuple[Rule, ...]] = {
    "access": (
        machine.examine_access,
        machine.examine_kubeconfig,
        source.examine_repository,
        platform.examine_namespaces,
        platform.examine_platform,
    ),
    "key": (key.examine_store, key.examine_key, content.examine_rules),
    "pushed": (source.examine_branches,),
    "encrypted": (
        content.examine_encryption,
        content.examine_recipients,
        content.examine_policy,
    ),
    "wired": (content.examine_list,),
    "source": (source.examine_source, source.examine_address),
    "applied": (delivery.examine_kustomization, delivery.examine_build),
    "secret": (delivery.examine_live,),
}


def judge(seat: Seat, seen: Seen) -> Row:
    """Return how far a learner is."""
    rules = ((name, rule) for name in STEPS for rule in RULES[name])
    examined = ask(seen.snapshot, rules)
    steps = {name: _step(name, seen, examined) for name in STEPS}
    is_there = steps["secret"].progress is Progress.YES
    if is_there and steps["applied"].progress is not Progress.YES:
        found = "whether the Secret is the one on main will show when main is applied."
        steps["secret"] = Step("secret", Progress.UNKNOWN, found)
    return Row(seat, tuple(steps.values()), seen.asked, seen.hints)


def over(row: Row, found: str) -> Row:
    """Return the row of a learner whose access has ended. Steps that are done stay done. All others
    are unknown, because Flux delivers nothing any more, so the learner does not count as stuck.

    + found: the sentence that says that the access has ended
    """
    steps = (
        one if one.progress is Progress.YES else Step(one.id, Progress.UNKNOWN, found)
        for one in row.steps
    )
    return Row(row.seat, tuple(steps), None, row.hints)


def _step(name: str, seen: Seen, examined: Examined[str]) -> Step:
    cause = examined.first(name)
    if cause is not None:
        return _open(name, Progress.NO, cause.told, cause.next_step, stuck=True)
    try:
        lack = _LACKS[name](seen)
        if lack is not None:
            stuck = not lack.transient and _has_failed(name, seen.snapshot)
            return _open(name, Progress.NO, lack.found, lack.next_step, stuck=stuck)
        examined.require(name)
    except Undecided as reason:
        return _open(name, Progress.UNKNOWN, f"{reason.found}.", reason.next_step, stuck=False)
    return Step(name, Progress.YES)


def _open(name: str, progress: Progress, found: str, fix: str, *, stuck: bool) -> Step:
    # Both texts may contain the name of a learner's file.
    return Step(name, progress, in_one_line(found), in_one_line(fix), stuck)


def _pushed(seen: Seen) -> Verdict | None:
    main = known(seen.snapshot.branches).main
    if main is not None and seen.start is None:
        raise Undecided("the first commit of the repository is not known", UP)
    if main != seen.start:
        return None
    return failed(
        "nothing is pushed yet: main is where it began.", seen.snapshot.chapter.at_work("git push")
    )


_LACKS: Mapping[str, Callable[[Seen], Verdict | None]] = {
    "access": lambda _: None,
    "key": lambda _: None,
    "pushed": _pushed,
    "encrypted": lambda seen: exercise.encrypted(seen.snapshot),
    "wired": lambda seen: exercise.wired(seen.snapshot),
    "source": lambda seen: exercise.read(seen.snapshot),
    "applied": lambda seen: exercise.applied(seen.snapshot),
    "secret": lambda seen: exercise.secret(seen.snapshot),
}


# The objects of Flux that may have failed at a step. At any other step that is not done, and where
# what Flux has applied only lacks the file, the learner just has to go on.
_FLUX: Mapping[str, Callable[[Snapshot], Object | None]] = {
    "source": objects.source,
    "applied": objects.kustomization,
}


def _has_failed(name: str, seen: Snapshot) -> bool:
    """Return whether Flux's last attempt at a step failed."""
    found = _FLUX[name](seen) if name in _FLUX else None
    return found is not None and failure(found) is not None
