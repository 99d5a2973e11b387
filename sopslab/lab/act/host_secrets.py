"""Secrets that the cluster is given from files of this machine. Values travel in pipes."""

from __future__ import annotations

import re
from pathlib import Path

from sopslab.checks import causes
from sopslab.config.naming import seat_system_namespace
from sopslab.config.places import Lab
from sopslab.lab.act.failures import fail
from sopslab.lab.observe.host_secrets import manifest, of_seats, recipients_in_cluster
from sopslab.lab.tools.files import read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed


def give(
    lab: Lab, namespace: str, secret: str, entries: dict[str, str], labels: dict[str, str]
) -> None:
    """Have a Secret with exactly the given entries, and no moment without it: Flux never meets one.

    Raises Failed.

    + entries: the name of each entry, and the file that holds its value
    """
    values = {entry: Path(path).read_bytes() for entry, path in entries.items()}
    Kubectl(lab).put(manifest(namespace, secret, values, labels))


def give_seats(lab: Lab, seats: list[str]) -> None:
    """Have the Secrets of seats in the cluster, in one apply for all; what the API server refuses
    is one seat's failure."""
    try:
        Kubectl(lab).apply(of_seats(lab, seats))
    except Failed as failure:
        for seat, lines in refused_by_seat(failure.lines, seats).items():
            fail(lab, seat, f"the cluster refused its key: {causes.refused(lines)}")


def refused_by_seat(lines: list[str], seats: list[str]) -> dict[str, list[str]]:
    """Return for each seat that kubectl names in what it says the lines that do so."""
    found = {}
    for seat in seats:
        named = re.compile(rf"(^|[^a-z0-9-]){seat_system_namespace(seat)}")
        if about := [line for line in lines if named.search(line)]:
            found[seat] = about
    return found


def refuse_keys(lab: Lab, seats: list[str]) -> None:
    """Record that the store and the cluster have different keys of seats: neither is replaced
    before somebody says which one is right."""
    for seat, live in recipients_in_cluster(lab, seats).items():
        stored = (read(f"{lab.keys_dir}/{seat}.pub") or b"").decode().strip()
        fail(
            lab,
            seat,
            f"the key in the store ({stored}) and the key in the cluster ({live}) differ: `sopslab"
            " up --key-from store` gives the cluster the one of the store",
        )
