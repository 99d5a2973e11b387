"""Nobody loses an environment by missing from a roster, and a run says what becomes of whom."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sopslab.config.enrolment import enrol, plan
from sopslab.config.settings import Seat


def seat(id_: str, name: str | None = None, email: str | None = None) -> Seat:
    return Seat(id=id_, name=name or f"Name of {id_}", email=email or f"{id_}@example.org")


ADA, BOB, CY, DEE = seat("ada"), seat("bob"), seat("cy"), seat("dee")


def test_a_first_run_enrols_the_roster() -> None:
    enrolment = enrol([BOB, ADA], [], prune=False)
    assert enrolment.seats == (BOB, ADA)
    assert (enrolment.kept, enrolment.pruned, enrolment.renamed) == ((), (), ())
    assert plan(enrolment) == []


@pytest.mark.parametrize("prune", [False, True])
def test_the_same_roster_again_changes_nothing(prune: bool) -> None:
    enrolment = enrol([ADA, BOB], [ADA, BOB], prune=prune)
    assert enrolment.seats == (ADA, BOB)
    assert plan(enrolment) == []


def test_who_is_not_on_the_roster_any_more_stays_behind_it() -> None:
    enrolment = enrol([DEE, ADA], [CY, ADA, BOB], prune=False)
    assert enrolment.seats == (DEE, ADA, CY, BOB)
    assert enrolment.kept == ("cy", "bob")
    assert enrolment.pruned == ()
    assert plan(enrolment) == [
        "2 learners are no longer in the roster and keep their environments: cy, bob; --prune"
        " removes them"
    ]


def test_one_alone_is_told_as_one() -> None:
    assert plan(enrol([ADA], [ADA, BOB], prune=False)) == [
        "1 learner is no longer in the roster and keeps the environment: bob; --prune removes it"
    ]
    assert plan(enrol([ADA], [ADA, BOB], prune=True)) == [
        "1 learner is no longer in the roster and loses the environment: bob"
    ]


def test_pruning_takes_those_who_are_not_on_the_roster_and_says_so() -> None:
    enrolment = enrol([DEE, ADA], [CY, ADA, BOB], prune=True)
    assert enrolment.seats == (DEE, ADA)
    assert enrolment.kept == ()
    assert enrolment.pruned == ("cy", "bob")
    assert plan(enrolment) == [
        "2 learners are no longer in the roster and lose their environments: cy, bob"
    ]


def test_an_empty_roster_keeps_everybody_unless_it_prunes() -> None:
    assert enrol([], [ADA, BOB], prune=False).seats == (ADA, BOB)
    assert enrol([], [ADA, BOB], prune=True).seats == ()


def test_what_the_roster_says_of_a_learner_goes_before_what_was_recorded() -> None:
    now = seat("ada", "Ada King")
    enrolment = enrol([now], [ADA], prune=False)
    assert enrolment.seats == (now,)
    assert plan(enrolment) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (seat("ada", "Ada"), seat("countess", "Ada")),
        (seat("zoe", "Zo\u00eb"), seat("zoe-l", "ZOE\u0308")),
        (seat("ada", "Ada", "a@example.org"), seat("countess", "Countess", "A@example.org")),
    ],
)
@pytest.mark.parametrize(
    ("prune", "fate"), [(False, "stays as it is"), (True, "is removed")], ids=["keep", "prune"]
)
def test_another_id_for_the_same_person_is_told(
    old: Seat, new: Seat, prune: bool, fate: str
) -> None:
    enrolment = enrol([BOB, new], [old, BOB], prune=prune)
    assert enrolment.renamed == ((old.id, new.id),)
    # It is a removal and an addition all the same.
    assert old.id in (enrolment.pruned if prune else enrolment.kept)
    assert new in enrolment.seats
    assert plan(enrolment)[-1] == (
        f"{new.id} seems to be the same person as {old.id}: another id means another environment,"
        f" with its own key and repository, and that of {old.id} {fate}"
    )


def test_namesakes_who_are_both_there_are_not_renamed() -> None:
    assert enrol([seat("kim", "Kim"), seat("kim-2", "Kim")], [], prune=False).renamed == ()
    one, two = seat("kim", "Kim"), seat("kim-2", "Kim")
    assert enrol([one, two], [one], prune=False).renamed == ()


def test_an_address_says_more_than_a_name() -> None:
    old = [seat("kim-b", "Kim", "b@example.org"), seat("kim-a", "Kim", "a@example.org")]
    new = [seat("one", "Kim", "b@example.org"), seat("two", "Kim", "other@example.org")]
    assert enrol(new, old, prune=False).renamed == (("kim-b", "one"), ("kim-a", "two"))


def test_of_namesakes_the_first_is_renamed() -> None:
    old = [seat("kim-a", "Kim"), seat("kim-b", "Kim")]
    assert enrol([seat("kim", "Kim")], old, prune=False).renamed == (("kim-a", "kim"),)


ids = st.sampled_from("abcdefgh")
seats = st.lists(
    st.builds(lambda id_, name, email: seat(id_, name, f"{email}@b"), ids, ids, ids),
    unique_by=lambda one: one.id,
)


@given(seats, seats, st.booleans())
@settings(deadline=None)
def test_everybody_is_accounted_for_once(
    roster: list[Seat], recorded: list[Seat], prune: bool
) -> None:
    enrolment = enrol(roster, recorded, prune=prune)
    have = [one.id for one in enrolment.seats]
    assert enrolment.seats[: len(roster)] == tuple(roster)
    assert have == [*(one.id for one in roster), *enrolment.kept]
    before, now = {one.id for one in recorded}, {one.id for one in roster}
    assert {*enrolment.kept, *enrolment.pruned} == before - now
    assert not {*have} & {*enrolment.pruned}
    assert (enrolment.kept if prune else enrolment.pruned) == ()
    old = [pair[0] for pair in enrolment.renamed]
    new = [pair[1] for pair in enrolment.renamed]
    assert len({*old}) == len(old) and len({*new}) == len(new)
    assert {*old} <= before - now and {*new} <= now - before


@given(seats, seats)
@settings(deadline=None)
def test_a_second_run_with_what_was_recorded_changes_nothing(
    roster: list[Seat], recorded: list[Seat]
) -> None:
    first = enrol(roster, recorded, prune=False)
    assert enrol(roster, first.seats, prune=False).seats == first.seats
    pruned = enrol(roster, first.seats, prune=True)
    assert pruned.seats == tuple(roster)
    assert plan(enrol(roster, pruned.seats, prune=True)) == []
