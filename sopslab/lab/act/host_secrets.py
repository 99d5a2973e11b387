"""Give the cluster Secrets that come from files of this machine. Their values travel in pipes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sopslab.checks import causes
from sopslab.config.environment import Environment
from sopslab.config.naming import seat_system_namespace
from sopslab.config.places import Lab
from sopslab.lab.act.failures import fail
from sopslab.lab.observe.host_secrets import (
    astray,
    held_keys,
    labels_of,
    live_secrets,
    secrets_of,
)
from sopslab.lab.observe.ownership import owner_labels
from sopslab.lab.tools.files import read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.model.objects import namespace


def give(lab: Lab, environments: list[Environment]) -> None:
    """Put the Secrets of environments into the cluster, all together, so that Flux is never without
    one. If the API server refuses something of a seat, a failure is recorded for that seat; any
    other failure is raised as Failed."""
    wanted = secrets_of(lab, environments)
    secrets = [each for found in wanted.values() for each in found]
    seats = [one for one in environments if one.is_seat and one.id in wanted]
    only_seats = all(one.is_seat for one in environments)
    with _refusals_told(lab, seats, only_seats=only_seats):
        ours = owner_labels(lab)
        spaces = [namespace(one.system, {**ours, **labels_of(one)}) for one in seats]
        Kubectl(lab).apply([*spaces, *secrets])
    # Server-side apply leaves every entry and label that somebody has added; a replacement does
    # not.
    with _refusals_told(lab, seats, only_seats=only_seats):
        Kubectl(lab).replace(astray(secrets, live_secrets(lab, environments)))


@contextmanager
def _refusals_told(lab: Lab, seats: Sequence[Environment], *, only_seats: bool) -> Iterator[None]:
    """Record what the API server refuses in the block as failures of the seats that it names. Raise
    Failed if it names none, or also refuses something without a seat's name.

    + only_seats: whether each line without a seat's name belongs to a line that has one
    """
    try:
        yield
    except Failed as failure:
        refused = refused_by_seat(failure.lines, [one.id for one in seats])
        for seat, lines in refused.items():
            fail(lab, seat, f"the cluster refused its key: {causes.refused(lines)}")
        told = {line for lines in refused.values() for line in lines}
        if not told or not (only_seats or told.issuperset(failure.lines)):
            raise


def refused_by_seat(lines: list[str], seats: list[str]) -> dict[str, list[str]]:
    """Return, for each seat that kubectl names in its output, the lines that name it."""
    found = {}
    for seat in seats:
        named = re.compile(rf"(?<![a-z0-9-]){seat_system_namespace(seat)}(?![a-z0-9-])")
        if about := [line for line in lines if named.search(line)]:
            found[seat] = about
    return found


def refuse_keys(lab: Lab, environments: list[Environment]) -> None:
    """Record a failure for seats whose keys in the store and in the cluster differ: neither key is
    replaced before somebody says which one is right.

    + environments: those of these seats
    """
    for seat, key in held_keys(lab, environments).items():
        stored = (read(f"{lab.keys_dir}/{seat}.pub") or b"").decode().strip()
        live = ", ".join(sorted(key.recipients)) or "no valid identity"
        fail(
            lab,
            seat,
            f"the key in the store ({stored}) and the key in the cluster ({live}) differ: `sopslab"
            " up --key-from store` gives the cluster the one of the store",
        )
