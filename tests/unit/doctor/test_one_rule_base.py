"""`verify`, `doctor` and `status` follow the same rules: random looks, some parts of which are
unseen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopslab.checks.board.judge import RULES as CHEAP
from sopslab.checks.board.judge import judge as judge_seat
from sopslab.checks.board.seen import Seen
from sopslab.checks.diagnosis import diagnose
from sopslab.checks.exercise import LACKS
from sopslab.checks.rules.table import Step, ask, examine
from sopslab.checks.snapshot import (
    Branches,
    Commit,
    History,
    Push,
    Relation,
    Snapshot,
    Tree,
)
from sopslab.checks.verification import NEEDS, judge
from sopslab.model.results import Status, Undecided, Verdict
from sopslab.policy.findings import Finding, Report
from sopslab.policy.printing import in_one_line
from tests.unit.board.board_material import ADA, START
from tests.unit.doctor.doctor_material import (
    FAULTS,
    HEAD,
    Change,
    being_built,
    both,
    edited,
    facets,
    healthy,
    main,
    manifest,
    not_applied,
    not_read,
    seated,
)
from tests.unit.doctor.test_doctor_diagnosis import HALF_DONE, NOT_BEGUN, OTHERS

FACETS = [one.name for one in fields(Snapshot) if one.name not in ("environment", "chapter", "url")]
NEW = "b" * 40
UNSEEN = Undecided("it could not be seen")


def unfinished(seen: Snapshot) -> Iterator[tuple[Step, Verdict]]:
    """Yield each lack of the exercise with its check, except lacks of facets that could not be
    seen."""
    for step, lack in LACKS.items():
        with suppress(Undecided):
            if (verdict := lack(seen)) is not None:
                yield step, verdict


def _at_work(kind: str, name: str) -> Change:
    ready = [{"type": "Ready", "status": "Unknown"}]
    return edited(kind, name, lambda one: one["status"].update(conditions=ready))


def _going(kind: str, name: str) -> Change:
    since = {"deletionTimestamp": "2026-11-29T10:00:00Z"}
    return edited(kind, name, lambda one: one["metadata"].update(since))


# What is wrong for every viewpoint: on main and in the clone.
WRONG = [*FAULTS.values(), *(change for change, _ in OTHERS.values())]
# How far the exercise is, on main and in the clone.
OPEN: list[Change] = [
    NOT_BEGUN,
    HALF_DONE,
    main(manifests={"backend-secrets.yaml": manifest("another")}),
    main(manifests={"backend-secrets.yaml": manifest("backend-secrets", namespace="")}),
    main(manifests={"backend-secrets.yaml": manifest("backend-secrets", misfits=["data.A"])}),
    _at_work("kustomizations", "secrets-develop"),
    _at_work("sources", "learner"),
    _going("kustomizations", "secrets-develop"),
    _going("sources", "learner"),
    not_applied("never seen before"),
    not_read("never seen before"),
    being_built("bob"),
    facets(history=History(Report([Finding("a.yaml", 3, "secret-plaintext", "a", "")]), "x")),
    facets(live={}),
]
# How the clone and main differ.
HERE: list[Change] = [
    both(main(commit=None), facets(commit=Commit(None))),
    facets(commit=Commit(HEAD, ["flux/secrets/x.yaml"])),
    facets(commit=Commit(HEAD, same=False)),
    both(main(commit=NEW), facets(commit=Commit(NEW), push=Push("main", Relation.AHEAD))),
    facets(branches=Branches(NEW), push=Push("main", Relation.BEHIND)),
]


def together(some: list[Change], *, at_seat: bool) -> Snapshot:
    """Return a healthy environment after several changes: a learner's who is alone, or a seat's. A
    change of something that an earlier change has removed is left out."""
    seen = seated(healthy()) if at_seat else healthy()
    for change in some:
        with suppress(Undecided, ValueError, TypeError):
            seen = change(seen)
    return seen


changes = st.lists(st.sampled_from([*WRONG, *OPEN]), max_size=3)
snapshots = st.builds(together, changes, at_seat=st.booleans())
trees = snapshots.map(lambda seen: seen.tree).filter(lambda tree: isinstance(tree, Tree))
hidden = st.sets(st.sampled_from(FACETS), max_size=4)


@dataclass(frozen=True, repr=False)
class Looks:
    """One environment: as the learner sees it in the clone, and as others see it on main."""

    inside: Snapshot
    outside: Snapshot


@st.composite
def looks(draw: st.DrawFn) -> Looks:
    """Return both looks at one environment."""
    outside = draw(snapshots)
    inside = outside
    if draw(st.booleans()):
        # The clone has something that is not committed or not pushed, or it is behind.
        inside = draw(st.sampled_from(HERE))(replace(outside, tree=draw(trees)))
    return Looks(inside, outside)


def without(seen: Snapshot, names: set[str]) -> Snapshot:
    """Return a snapshot in which some facets could not be seen."""
    return facets(**dict.fromkeys(names, UNSEEN))(seen)


def verdicts(seen: Snapshot) -> dict[Step, Status]:
    """Return the verdict of each check alone."""
    examined = examine(seen)
    return {step: judge(step, seen, examined).status for step in NEEDS}


def causes(seen: Snapshot) -> set[Any]:
    """Return all causes that the rules yield, including those that follow from others."""
    return {cause for _, cause in examine(seen).causes}


def is_decided(looks: Looks) -> bool:
    """Return whether both looks saw everything that they judge."""
    return not diagnose(looks.outside).undecided and Status.UNKNOWN not in set(
        verdicts(looks.inside).values()
    )


@given(looks())
def test_verify_fails_if_and_only_if_doctor_has_a_cause_or_the_exercise_is_not_done(
    looks: Looks,
) -> None:
    if not is_decided(looks):
        return
    fails = Status.FAILED in set(verdicts(looks.inside).values())
    assert fails == bool(diagnose(looks.outside).causes or [*unfinished(looks.inside)])


@given(snapshots)
def test_of_one_tree_verify_says_what_doctor_names_or_what_the_exercise_lacks(
    seen: Snapshot,
) -> None:
    examined = examine(seen)
    failed = [one for step in NEEDS if (one := judge(step, seen, examined)).status is Status.FAILED]
    named = {one.told for one in diagnose(seen).causes}
    lacking = {lack.found for _, lack in unfinished(seen)}
    assert {one.found for one in failed} <= named | lacking
    assert {step for step, _ in examined.roots} <= {
        step for step, status in verdicts(seen).items() if status is Status.FAILED
    }


@given(looks(), hidden)
def test_nothing_is_answered_from_what_was_not_seen(looks: Looks, hidden: set[str]) -> None:
    for seen in (looks.inside, looks.outside):
        blind = without(seen, hidden)
        assert causes(blind) <= causes(seen)
        before, after = verdicts(seen), verdicts(blind)
        assert {step for step in after if after[step] is Status.OK} <= {
            step for step in before if before[step] is Status.OK
        }
        assert set(unfinished(blind)) <= set(unfinished(seen))


@given(looks(), st.sampled_from(["opened", "digests"]))
def test_nothing_is_answered_from_a_file_that_was_not_opened(looks: Looks, part: str) -> None:
    seen = looks.outside
    if isinstance(seen.tree, Undecided) or isinstance(seen.live, Undecided):
        return
    if part == "opened":
        closed = {
            name: replace(one, opened=UNSEEN, digests={}, misfits=())
            for name, one in seen.tree.manifests.items()
        }
        blind = replace(seen, tree=replace(seen.tree, manifests=closed))
    else:
        hidden = {name: replace(one, digests=UNSEEN) for name, one in seen.live.items()}
        blind = replace(seen, live=hidden)
    assert causes(blind) <= causes(seen)
    assert {step for step, status in verdicts(blind).items() if status is Status.OK} <= {
        step for step, status in verdicts(seen).items() if status is Status.OK
    }


@given(looks())
def test_status_names_nothing_that_doctor_does_not(looks: Looks) -> None:
    cheap = ask(looks.outside, ((name, rule) for name, rules in CHEAP.items() for rule in rules))
    assert {cause for _, cause in cheap.causes} <= causes(looks.outside)


@given(st.builds(together, changes, at_seat=st.just(True)), hidden)
def test_whoever_is_stuck_by_status_is_not_well_by_the_doctor(
    seen: Snapshot, hidden: set[str]
) -> None:
    blind = without(seen, hidden)
    named = {in_one_line(cause.told) for cause in causes(blind)}
    for step in judge_seat(ADA, Seen(blind, START)).steps:
        if step.stuck and step.found not in named:
            # Nothing but a report of Flux's shows it, and what that means may be unknown.
            assert step.id in ("source", "applied")
            assert diagnose(blind).exit_code != 0


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_can_be_injected_is_named_by_both(fault: str) -> None:
    seen = FAULTS[fault](healthy())
    (named,) = diagnose(seen).causes
    examined = examine(seen)
    told = [judge(step, seen, examined).found for step in NEEDS]
    assert named.id == fault and named.told in told


def test_a_lab_that_is_well_passes_everywhere() -> None:
    for seen in (healthy(), seated(healthy())):
        assert set(verdicts(seen).values()) == {Status.OK}
        assert [*unfinished(seen)] == []
        assert diagnose(seen).exit_code == 0
    row = judge_seat(ADA, Seen(seated(healthy()), START))
    assert row.done and not row.stuck
