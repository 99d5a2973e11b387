"""Which users of the cluster are the learners: the generations of their access, and which users the
cluster lets in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sopslab.checks.access import user_of
from sopslab.config.naming import GENERATION, nobody, seat_namespace
from sopslab.config.places import Lab
from sopslab.lab.observe.issuers import issuer_of
from sopslab.lab.observe.objects import listed
from sopslab.lab.tools import files
from sopslab.layout import SEAT_LABEL


def generation_of(lab: Lab, seat: str) -> str | None:
    """Return the generation of a seat's access, None if it has none, or it cannot be read."""
    lines = (files.read(f"{lab.seat_dir(seat)}/generation") or b"").splitlines()
    found = lines[0].decode("ascii", "replace").strip() if lines else ""
    return found if GENERATION.fullmatch(found) else None


def seat_generations(lab: Lab) -> dict[str, str]:
    """Return the generation of each seat's access. A seat without one is left out."""
    seats = [path.name for path in files.entries(Path(lab.class_dir, "seats"))]
    found = {seat: generation_of(lab, seat) for seat in seats}
    return {seat: generation for seat, generation in found.items() if generation is not None}


def seat_users(lab: Lab) -> dict[str, str]:
    """Return the name that the cluster gives to the user of each seat. A seat without a generation
    has no user and is left out."""
    issuer = issuer_of(lab)
    return {
        seat: user_of(issuer, seat, generation)
        for seat, generation in seat_generations(lab).items()
    }


def unbound_users(lab: Lab, seats: list[str], shut: list[str]) -> dict[str, str]:
    """Return the present user of each seat, by seat, if the cluster does not let this user in, or
    lets in others, too.

    If the cluster does not answer, it counts as letting in nobody. A seat without a generation has
    no user and is left out.

    + shut: those of the seats that let nobody in
    """
    known = seat_users(lab) | {seat: nobody(seat) for seat in shut}
    users = {seat: known[seat] for seat in seats if seat in known}
    return still_unbound(users, bound(lab)) if users else {}


def still_unbound(users: Mapping[str, str], found: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return the users, by seat, that the cluster does not let into the namespace of their seat, or
    lets in together with others.

    + users: the present user of each seat
    + found: the users that the cluster lets in, by namespace
    """
    return {
        seat: user for seat, user in users.items() if found.get(seat_namespace(seat)) != (user,)
    }


def bound(lab: Lab) -> dict[str, tuple[str, ...]]:
    """Return the users that the cluster lets into seats, by namespace; none without an answer."""
    roles = listed(
        lab, "rolebindings", selector=SEAT_LABEL, fields="metadata.name=learner", patience=20
    )
    return {
        role["metadata"]["namespace"]: tuple(one["name"] for one in role.get("subjects") or ())
        for role in roles
    }


def retired_access(lab: Lab, seats: list[str]) -> list[str]:
    """Return the seats whose replaced credentials are still kept, because they are not yet proven
    to be worthless."""
    return [seat for seat in seats if Path(lab.retired_dir(seat)).is_dir()]
