"""Who has an environment after a run: learners of this roster and of earlier ones, and spares.

Pure. A learner who is missing from a roster keeps the environment: only `--prune` takes it away,
and only from learners whom an earlier roster had. A spare that was given away belongs to its
learner like any other seat, and a roster that names this learner means that seat. A learner whose
access has an end cannot get in after it, and loses the environment some days later.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sopslab.config.moments import in_words
from sopslab.config.naming import spare_seat
from sopslab.errors import InputError

if TYPE_CHECKING:
    from sopslab.config.settings import Enrolled, Seat, Settings


@dataclass(frozen=True)
class Enrolment:
    """What a run does with the seats.

    `seats` have an environment after the run: the roster in its order, then those kept, then new
    spares. `kept` are the ids that left the roster and keep their environment, `pruned` the ids
    that lose it. `late` are the seats of learners who got a spare and are on no roster so far.
    `surplus` are the spares that are archived because fewer are asked for. `renamed` pairs an old
    id, which is not on the roster, with a new one that is likely the same person. `suspended` are
    the seats whose access has ended and that stay for a while, `ended` those that are archived
    after it. `recorded` is the record from which all of this was computed.
    """

    seats: tuple[Enrolled, ...]
    kept: tuple[str, ...]
    pruned: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]
    late: tuple[Enrolled, ...] = ()
    surplus: tuple[str, ...] = ()
    suspended: tuple[Enrolled, ...] = ()
    ended: tuple[Enrolled, ...] = ()
    recorded: tuple[Enrolled, ...] = ()

    @property
    def archived(self) -> tuple[str, ...]:
        """The ids of all seats that the run archives."""
        return (*self.pruned, *self.surplus, *(seat.id for seat in self.ended))

    @property
    def shut(self) -> set[str]:
        """The ids of the seats whose learners no longer have access."""
        return {seat.id for seat in (*self.suspended, *self.ended)}


@dataclass(frozen=True)
class Terms:
    """How long learners have access.

    `now` is the current time. `expires` is when access ends for learners whose roster entry gives
    no time of its own, and `grace` for how many days a suspended seat stays.
    """

    now: datetime
    expires: str | None = None
    grace: int = 0


SEATS_AS_THEY_ARE: Mapping[str, object] = {"spares": 0, "prune": False}
"""Settings with which a run makes no spare, and archives a seat only if its time is over."""

FOR_EVER = Terms(datetime.min.replace(tzinfo=UTC))
"""Terms by which nobody's access has ended."""


def enrolment_for(settings: Settings, recorded: Sequence[Enrolled]) -> Enrolment:
    """Return what a run that begins now does with the seats on the roster and those on record."""
    return enrol(
        settings.seats,
        recorded,
        prune=settings.prune,
        spares=settings.spares,
        terms=Terms(datetime.now(UTC), settings.expires, settings.grace),
    )


def enrol(
    roster: Sequence[Seat],
    recorded: Sequence[Enrolled],
    *,
    prune: bool,
    spares: int = 0,
    terms: Terms = FOR_EVER,
) -> Enrolment:
    """Return what a run does with the seats on the roster and those on record.

    + spares: how many spares there are to be that nobody has; if there are more and `prune` is
        true, those with the highest numbers are archived
    + terms: how long learners have access. If they have a time, it holds for seats that were never
        on a roster, too; seats that left the roster keep the time on record
    """
    before = tuple(recorded)
    recorded = [_on_terms(seat, terms) for seat in before]
    seated = _seated(roster, recorded, terms)
    listed = {seat.id for seat in seated}
    known = {seat.id for seat in recorded}
    others = [seat for seat in recorded if seat.id not in listed]
    gone = [seat for seat in others if seat.listed]
    late = tuple(seat for seat in others if not seat.listed and not seat.free)
    free = sorted((seat.id for seat in others if seat.free), key=lambda name: (len(name), name))
    ids = tuple(seat.id for seat in gone)
    pruned, surplus = (ids, tuple(free[spares:])) if prune else ((), ())
    staying = [seat for seat in others if seat.id not in {*pruned, *surplus}]
    staying += _new_spares(spares - len(free), known, terms)
    # A new learner whose time is already over gets no seat.
    wanted = [one for one in (*seated, *staying) if one.id in known or not one.has_ended(terms.now)]
    since = {seat.id: seat.suspended for seat in recorded}
    wanted = [_noted(one, since.get(one.id), terms.now) for one in wanted]
    # A seat ends only after an earlier run has suspended it.
    ended = {
        one.id: one
        for one in wanted
        if since.get(one.id) and one.goes is not None and one.goes <= terms.now
    }
    seats = tuple(one for one in wanted if one.id not in ended)
    return Enrolment(
        seats=seats,
        kept=() if prune else tuple(name for name in ids if name not in ended),
        pruned=pruned,
        renamed=_renamed([*gone, *late], [seat for seat in seated if seat.id not in known]),
        late=tuple(seat for seat in late if seat.id not in ended),
        surplus=surplus,
        suspended=tuple(one for one in seats if one.has_ended(terms.now)),
        ended=tuple(ended.values()),
        recorded=before,
    )


def _noted(seat: Enrolled, since: str | None, now: datetime) -> Enrolled:
    """Return a seat that records when a run first found its time over, or nothing if it is not."""
    noted = (since or now.isoformat(timespec="seconds")) if seat.has_ended(now) else None
    return seat if seat.suspended == noted else seat.model_copy(update={"suspended": noted})


def _on_terms(seat: Enrolled, terms: Terms) -> Enrolled:
    """Return a seat on record, with the time of `terms` if it was never on a roster."""
    if seat.listed or terms.expires is None:
        return seat
    return seat.model_copy(update={"expires": terms.expires, "grace": terms.grace})


def _seated(roster: Sequence[Seat], recorded: Sequence[Enrolled], terms: Terms) -> list[Enrolled]:
    """Return the seats of the learners on the roster: their own, or the spare that they got."""
    # Imported here: it takes long, and help does not need it.
    from sopslab.config.settings import Enrolled

    given = {seat.learner: seat.id for seat in recorded if seat.learner is not None}
    return [
        Enrolled(
            id=given.get(seat.id, seat.id),
            name=seat.name,
            email=seat.email,
            group=seat.group,
            learner=seat.id if seat.id in given else None,
            **_time(seat.expires or terms.expires, terms),
        )
        for seat in roster
    ]


def _time(expires: str | None, terms: Terms) -> dict[str, Any]:
    """Return the fields that record how long a seat has access; {} if its access does not end."""
    return {} if expires is None else {"expires": expires, "grace": terms.grace}


def _new_spares(number: int, taken: Collection[str], terms: Terms) -> list[Enrolled]:
    """Return `number` new spares, with the lowest numbers that are free."""
    from sopslab.config.roster_values import default_email
    from sopslab.config.settings import Enrolled

    ids = (name for name in map(spare_seat, itertools.count(1)) if name not in taken)
    return [
        Enrolled(
            id=name,
            name=name.replace("-", " ").capitalize(),
            email=default_email(name),
            listed=False,
            **_time(terms.expires, terms),
        )
        for name in itertools.islice(ids, max(number, 0))
    ]


def assign(recorded: Sequence[Enrolled], spare: str, learner: Seat) -> tuple[Enrolled, ...]:
    """Return who has a seat once `spare` is given to `learner`, who may have it already.

    Raises InputError if the seat is no spare or somebody else has it, saying which are free, and if
    the learner has another seat or is on the roster by now.
    """
    held = next((seat for seat in recorded if seat.id == spare), None)
    theirs = next((seat for seat in recorded if learner.id in (seat.id, seat.learner)), None)
    problems = []
    if theirs is not None and theirs is not held:
        problems.append(f"{learner.id} has the seat {theirs.id} already")
    elif held is not None and held.listed and theirs is not None:
        problems.append(f"{learner.id} is on the roster by now: change it there")
    if held is None or not (held.free or held is theirs):
        free = ", ".join(seat.id for seat in recorded if seat.free)
        whose = "no seat of the class" if held is None else f"the seat of {held.name}"
        none = "no spare is free; the class's `sopslab up` with `--spare 1` makes one"
        problems.append(f"{spare} is {whose}: {f'free is {free}' if free else none}")
    if held is None or problems:
        raise InputError(problems)
    given = held.model_copy(
        update={
            "learner": learner.id,
            "name": learner.name,
            "email": learner.email,
            "group": learner.group,
        }
    )
    return tuple(given if seat is held else seat for seat in recorded)


def plan(enrolment: Enrolment) -> list[str]:
    """Return sentences about seats that are not on the roster, or whose access has ended."""
    sentences = []
    kept, pruned = enrolment.kept, enrolment.pruned
    if len(kept) == 1:
        sentences.append(
            f"1 learner is no longer in the roster and keeps the environment: {kept[0]};"
            " --prune removes it"
        )
    elif kept:
        sentences.append(
            f"{len(kept)} learners are no longer in the roster and keep their environments:"
            f" {', '.join(kept)}; --prune removes them"
        )
    if len(pruned) == 1:
        sentences.append(
            f"1 learner is no longer in the roster and loses the environment: {pruned[0]}"
        )
    elif pruned:
        sentences.append(
            f"{len(pruned)} learners are no longer in the roster and lose their environments:"
            f" {', '.join(pruned)}"
        )
    sentences += [
        f"the access of {seat.id} has ended at {seat.until}; what is there goes at"
        f" {in_words(seat.goes)}, unless a later time is given"
        for seat in enrolment.suspended
        if seat.goes is not None
    ]
    sentences += [
        f"{seat.id} loses the environment: the access has ended at {seat.until}"
        for seat in enrolment.ended
    ]
    if enrolment.surplus:
        sentences.append(f"spare seats that are not asked for go: {', '.join(enrolment.surplus)}")
    for seat in enrolment.late:
        sentences.append(
            f"{seat.learner} has the seat {seat.id} and is not in the roster yet: a line with the"
            f" id {seat.learner} there means this seat"
        )
    for old, new in enrolment.renamed:
        fate = "is removed" if old in pruned else "stays as it is"
        sentences.append(
            f"{new} seems to be the same person as {old}: another id means another environment,"
            f" with its own key and repository, and that of {old} {fate}"
        )
    return sentences


def _renamed(gone: Sequence[Seat], new: Sequence[Seat]) -> tuple[tuple[str, str], ...]:
    """Return pairs of an old and a new id that are likely the same person; no id is in two pairs.

    An equal address counts before an equal name.
    """
    pairs: dict[str, str] = {}
    for trait in (_email, _name):
        left = [seat for seat in gone if seat.id not in pairs.values()]
        by_trait = _first_with(left, trait)
        for seat in new:
            old = by_trait.pop(trait(seat), None) if seat.id not in pairs else None
            if old is not None:
                pairs[seat.id] = old.id
    return tuple((pairs[seat.id], seat.id) for seat in new if seat.id in pairs)


def _first_with(seats: Sequence[Seat], trait: Callable[[Seat], str]) -> dict[str, Seat]:
    return {trait(seat): seat for seat in reversed(seats)}


def _email(seat: Seat) -> str:
    return seat.email.casefold()


def _name(seat: Seat) -> str:
    return unicodedata.normalize("NFKC", seat.name).casefold()
