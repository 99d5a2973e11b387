"""Whom the cluster knows as which learner: the generations of their access, and who is let in."""

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
    """Return the generation of a seat's access, None where it has none that can be read."""
    lines = (files.read(f"{lab.seat_dir(seat)}/generation") or b"").splitlines()
    found = lines[0].decode("ascii", "replace").strip() if lines else ""
    return found if GENERATION.fullmatch(found) else None


def seat_generations(lab: Lab) -> dict[str, str]:
    """Return the generation of each seat's access; a seat without one is not named."""
    seats = [path.name for path in files.entries(Path(lab.class_dir, "seats"))]
    found = {seat: generation_of(lab, seat) for seat in seats}
    return {seat: generation for seat, generation in found.items() if generation is not None}


def seat_users(lab: Lab) -> dict[str, str]:
    """Return the user whom the cluster takes each learner for, by seat; a seat without a generation
    has none."""
    issuer = issuer_of(lab)
    return {
        seat: user_of(issuer, seat, generation)
        for seat, generation in seat_generations(lab).items()
    }


def unbound_users(lab: Lab, seats: list[str], shut: list[str]) -> dict[str, str]:
    """Return the present users of seats that the cluster does not let in, or not alone, by seat.

    Where it does not answer, it lets in nobody. A seat without a generation has no user.

    + shut: those of the seats whose present user is nobody
    """
    known = seat_users(lab) | {seat: nobody(seat) for seat in shut}
    users = {seat: known[seat] for seat in seats if seat in known}
    return still_unbound(users, bound(lab)) if users else {}


def still_unbound(users: Mapping[str, str], found: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Return those of the users that are not the only ones in the namespace of their seat.

    + found: the users that are let in, by namespace
    """
    return {
        seat: user for seat, user in users.items() if found.get(seat_namespace(seat)) != (user,)
    }


def bound(lab: Lab) -> dict[str, tuple[str, ...]]:
    """Return the users that the cluster lets into seats, by namespace; nobody without an answer."""
    roles = listed(
        lab, "rolebindings", selector=SEAT_LABEL, fields="metadata.name=learner", patience=20
    )
    return {
        role["metadata"]["namespace"]: tuple(one["name"] for one in role.get("subjects") or ())
        for role in roles
    }


def retired_access(lab: Lab, seats: list[str]) -> list[str]:
    """Return those of the seats whose replaced access is kept until it is proven worthless."""
    return [seat for seat in seats if Path(lab.class_dir, "retired", seat).is_dir()]
