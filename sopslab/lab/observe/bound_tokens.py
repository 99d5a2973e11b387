"""A learner's token in the folder of the seat, and the ServiceAccount that the token is bound
to."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sopslab.checks.access import Credential
from sopslab.checks.kubeconfigs import Proof, by_token
from sopslab.config.naming import seat_system_namespace
from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.access import CREDENTIALS, TOKEN, BoundToken, Issuer
from sopslab.model.objects import Object
from sopslab.model.results import Undecided
from sopslab.model.wire import decoded

PRIVATE = TOKEN
FILES = CREDENTIALS[Issuer.TOKENS]
# The label of all ServiceAccounts of learners.
LABEL = "sops-lab/access"


def credential(folder: Path) -> Credential | None:
    """Return user, beginning and end of the token in a folder, None if it cannot be read."""
    found = _token(folder)
    if found is None:
        return None
    try:
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (found.begin, found.end))
    except (ValueError, OverflowError, OSError):
        return None
    return Credential(frozenset({found.user}), begin, end)


def proof(folder: Path) -> Proof:
    """Return the fields of a kubeconfig that hold the token in a folder."""
    found = _token(folder)
    return {} if found is None else by_token(found.token)


def flaws(lab: Lab, folders: Mapping[str, Path]) -> dict[str, str]:
    """Return what is wrong with the tokens of seats, by seat; nothing if the cluster does not
    answer.

    A token becomes invalid when its ServiceAccount is deleted. As long as the ServiceAccount of an
    earlier generation exists, the tokens of that generation are still valid.

    + folders: the folder with the token of each seat
    """
    try:
        there = accounts(lab)
    except Undecided:
        return {}
    live: dict[str, set[str]] = {}
    for one in there:
        live.setdefault(one["metadata"]["namespace"], set()).add(one["metadata"]["uid"])
    found = {}
    for seat, folder in folders.items():
        token = _token(folder)
        if token is None:
            continue
        its_own = live.get(seat_system_namespace(seat), set())
        if token.account not in its_own:
            found[seat] = "its ServiceAccount is gone"
        elif len(its_own) > 1:
            found[seat] = "its former ServiceAccount is still there"
    return found


def accounts(lab: Lab) -> list[Object]:
    """Return the ServiceAccounts of learners in the lab's cluster, of all generations. Raises
    Undecided if they cannot be listed."""
    return Kubectl(lab).list("serviceaccounts", selector=LABEL, patience=20)


def _token(folder: Path) -> BoundToken | None:
    return decoded(BoundToken, files.read(folder / PRIVATE))
