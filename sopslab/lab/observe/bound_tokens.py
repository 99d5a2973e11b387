"""The token of a learner, in the folder of a seat, and the ServiceAccount that it is bound to."""

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
# On the ServiceAccounts of learners.
LABEL = "sops-lab/access"


def credential(folder: Path) -> Credential | None:
    """Return what is on record of the token in a folder, None where it cannot be read."""
    found = _token(folder)
    if found is None:
        return None
    try:
        begin, end = (datetime.fromtimestamp(at, UTC) for at in (found.begin, found.end))
    except (ValueError, OverflowError, OSError):
        return None
    return Credential(frozenset({found.user}), begin, end)


def proof(folder: Path) -> Proof:
    """Return what a kubeconfig has of the token in a folder."""
    found = _token(folder)
    return {} if found is None else by_token(found.token)


def flaws(lab: Lab, folders: Mapping[str, Path]) -> dict[str, str]:
    """Return what is wrong with tokens, by seat: they end with their ServiceAccount, and those of
    earlier generations do not end before theirs is gone.

    A cluster that does not answer speaks against none.

    + folders: where each seat's lies
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
    """Return the ServiceAccounts of learners, of all generations, in the lab's cluster. Raises
    Undecided where they cannot be seen."""
    return Kubectl(lab).list("serviceaccounts", selector=LABEL, patience=20)


def _token(folder: Path) -> BoundToken | None:
    return decoded(BoundToken, files.read(folder / PRIVATE))
