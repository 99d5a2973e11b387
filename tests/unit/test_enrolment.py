"""Nobody loses an environment by missing from a roster, and a run says what becomes of each
learner."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopslab.config.enrolment import assign, enrol, plan
from sopslab.config.settings import Enrolled, Seat
from sopslab.errors import InputError


def seat(id_: str, name: str | None = None, email: str | None = None) -> Enrolled:
    return Enrolled(id=id_, name=name or f"Name of {id_}", email=email or f"{id_}@example.org")


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
    old: Enrolled, new: Enrolled, prune: bool, fate: str
) -> None:
    enrolment = enrol([BOB, new], [old, BOB], prune=prune)
    assert enrolment.renamed == ((old.id, new.id),)
    # It is still a removal and an addition.
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
def test_everybody_is_accounted_for_once(
    roster: list[Enrolled], recorded: list[Enrolled], prune: bool
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
def test_a_second_run_with_what_was_recorded_changes_nothing(
    roster: list[Enrolled], recorded: list[Enrolled]
) -> None:
    first = enrol(roster, recorded, prune=False)
    assert enrol(roster, first.seats, prune=False).seats == first.seats
    pruned = enrol(roster, first.seats, prune=True)
    assert pruned.seats == tuple(roster)
    assert plan(enrol(roster, pruned.seats, prune=True)) == []


ZOE = Seat(id="zoe", name="Zo\u00eb Z.", email="zoe@example.org", group="Table 2")


def ids_of(seats: tuple[Enrolled, ...]) -> list[str]:
    return [one.id for one in seats]


def test_spares_are_made_beside_the_roster_and_the_same_number_again_changes_nothing() -> None:
    first = enrol([ADA], [], prune=False, spares=2)
    assert ids_of(first.seats) == ["ada", "spare-1", "spare-2"]
    assert [one.free for one in first.seats] == [False, True, True]
    for prune in (False, True):
        again = enrol([ADA], first.seats, prune=prune, spares=2)
        assert (again.seats, again.archived, plan(again)) == (first.seats, (), [])


def test_spares_that_are_not_asked_for_stay_until_it_prunes() -> None:
    three = enrol([ADA], [], prune=False, spares=3).seats
    assert enrol([ADA], three, prune=False, spares=1).seats == three
    fewer = enrol([ADA], three, prune=True, spares=1)
    assert ids_of(fewer.seats) == ["ada", "spare-1"]
    assert (fewer.archived, fewer.pruned) == (("spare-2", "spare-3"), ())
    assert plan(fewer) == ["spare seats that are not asked for go: spare-2, spare-3"]
    many = enrol([], [], prune=False, spares=11).seats
    assert enrol([], many, prune=True, spares=10).archived == ("spare-11",)


def test_a_spare_that_was_given_away_makes_room_for_another() -> None:
    given = assign(enrol([ADA], [], prune=False, spares=2).seats, "spare-1", ZOE)
    after = enrol([ADA], given, prune=False, spares=2)
    assert ids_of(after.seats) == ["ada", "spare-1", "spare-2", "spare-3"]
    assert [one.id for one in after.seats if one.free] == ["spare-2", "spare-3"]


def test_who_got_a_spare_keeps_it_whatever_the_roster_says() -> None:
    given = assign(enrol([ADA], [], prune=False, spares=1).seats, "spare-1", ZOE)
    without = enrol([ADA], given, prune=True)
    assert without.seats == given
    assert without.archived == ()
    assert plan(without) == [
        "zoe has the seat spare-1 and is not in the roster yet: a line with the id zoe there means"
        " this seat"
    ]
    there = seat("zoe", "Zo\u00eb Zimmer")
    on_roster = enrol([there, ADA], without.seats, prune=True)
    assert ids_of(on_roster.seats) == ["spare-1", "ada"]
    theirs = on_roster.seats[0]
    assert (theirs.name, theirs.learner, theirs.listed) == ("Zo\u00eb Zimmer", "zoe", True)
    assert plan(on_roster) == []
    assert enrol([there, ADA], on_roster.seats, prune=False).seats == on_roster.seats
    # She has been on the roster, so she can leave it like anybody else.
    assert enrol([ADA], on_roster.seats, prune=False).kept == ("spare-1",)
    assert enrol([ADA], on_roster.seats, prune=True).pruned == ("spare-1",)


def test_another_id_on_the_roster_for_who_got_a_spare_is_told() -> None:
    given = assign(enrol([ADA], [], prune=False, spares=1).seats, "spare-1", ZOE)
    enrolment = enrol([ADA, seat("zoe-z", "Zo\u00eb Z.")], given, prune=True)
    assert enrolment.renamed == (("spare-1", "zoe-z"),)
    assert "spare-1 stays as it is" in plan(enrolment)[-1]


def test_the_same_assignment_again_changes_nothing_or_corrects_a_name() -> None:
    given = assign(enrol([ADA], [], prune=False, spares=1).seats, "spare-1", ZOE)
    assert assign(given, "spare-1", ZOE) == given
    renamed = assign(given, "spare-1", ZOE.model_copy(update={"name": "Zoe"}))
    assert [one.name for one in renamed] == ["Name of ada", "Zoe"]


@pytest.mark.parametrize(
    ("spare", "learner", "sentences"),
    [
        ("spare-1", "eve", ["spare-1 is the seat of Zo\u00eb Z.: free is spare-2, spare-3"]),
        ("spare-9", "eve", ["spare-9 is no seat of the class: free is spare-2, spare-3"]),
        ("ada", "eve", ["ada is the seat of Name of ada: free is spare-2, spare-3"]),
        ("spare-2", "zoe", ["zoe has the seat spare-1 already"]),
        ("spare-2", "ada", ["ada has the seat ada already"]),
        ("ada", "ada", ["ada is on the roster by now: change it there"]),
        (
            "spare-9", "ada",
            [
                "ada has the seat ada already",
                "spare-9 is no seat of the class: free is spare-2, spare-3",
            ],
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_assigned_is_refused_with_all_reasons(
    spare: str, learner: str, sentences: list[str]
) -> None:
    given = assign(enrol([ADA], [], prune=False, spares=3).seats, "spare-1", ZOE)
    with pytest.raises(InputError) as caught:
        assign(given, spare, seat(learner))
    assert list(caught.value.problems) == sentences


def test_where_no_spare_is_free_it_says_how_to_make_one() -> None:
    with pytest.raises(InputError, match="no spare is free; the class's `sopslab up` with"):
        assign([ADA], "spare-1", ZOE)
