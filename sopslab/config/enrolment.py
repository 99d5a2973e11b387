"""Who has an environment after a run: the roster, and those whom earlier rosters had.

Pure. Nobody loses an environment by being absent from a roster: only `--prune` takes it away.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sopslab.config.settings import Seat


@dataclass(frozen=True)
class Enrolment:
    """What becomes of the seats.

    `seats` have an environment after the run: the roster in its order, then those kept. `kept` are
    the ids that are no longer on the roster and stay, `pruned` the ids that lose what they have.
    `renamed` pairs an old id, which is one of these, with a new one that is likely the same person.
    """

    seats: tuple[Seat, ...]
    kept: tuple[str, ...]
    pruned: tuple[str, ...]
    renamed: tuple[tuple[str, str], ...]


def enrol(roster: Sequence[Seat], recorded: Sequence[Seat], *, prune: bool) -> Enrolment:
    """Return what becomes of those on the roster and of those that were recorded before."""
    listed = {seat.id for seat in roster}
    known = {seat.id for seat in recorded}
    gone = [seat for seat in recorded if seat.id not in listed]
    new = [seat for seat in roster if seat.id not in known]
    ids = tuple(seat.id for seat in gone)
    return Enrolment(
        seats=(*roster, *(() if prune else gone)),
        kept=() if prune else ids,
        pruned=ids if prune else (),
        renamed=_renamed(gone, new),
    )


def plan(enrolment: Enrolment) -> list[str]:
    """Return in sentences what a run does about those who are not on the roster any more."""
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
    for old, new in enrolment.renamed:
        fate = "is removed" if old in pruned else "stays as it is"
        sentences.append(
            f"{new} seems to be the same person as {old}: another id means another environment,"
            f" with its own key and repository, and that of {old} {fate}"
        )
    return sentences


def _renamed(gone: Sequence[Seat], new: Sequence[Seat]) -> tuple[tuple[str, str], ...]:
    """Return likely pairs of an old and a new id, each id once; an equal address counts before an
    equal name."""
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
