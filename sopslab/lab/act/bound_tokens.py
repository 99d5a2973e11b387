"""Tokens for learners, where the cluster signs no certificates. Each generation of a seat's access
has a ServiceAccount of its own. A seat's failure is recorded, and the other seats go on."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

from sopslab.checks import causes
from sopslab.config.naming import seat_system_namespace
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import fail_first
from sopslab.lab.act.host_secrets import refused_by_seat
from sopslab.lab.observe.bound_tokens import LABEL, PRIVATE, accounts
from sopslab.lab.tools.kubectl import Kubectl, listed, parsed
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline
from sopslab.layout import SEAT_LABEL
from sopslab.model.access import BoundToken
from sopslab.model.objects import Object, identity
from sopslab.model.results import Undecided
from sopslab.model.wire import encode

# As long as a certificate is valid. The cluster may grant less.
_SECONDS = 30 * 24 * 3600
# A token is not an object that could be created in one call with others: each needs a process of
# kubectl. That process mostly waits: for a cluster that is far away, or for another program that
# provides kubectl's own login.
_TOGETHER = 8
_PATIENCE_S = 20.0


def issue(lab: Lab, users: Mapping[str, str], within: int) -> dict[str, dict[str, bytes]]:
    """Return, for each seat, the file of a token, which is valid for as long as the cluster has
    granted. Tokens of earlier generations become invalid, because their ServiceAccounts are
    deleted.

    Raises LabError where the cluster accepts no ServiceAccount at all, and Undecided where it does
    not show them.

    + users: the user that each seat's token is to name
    + within: how many seconds the cluster has for all tokens together
    """
    kubectl = Kubectl(lab)
    wanted = {seat: _account(seat, user) for seat, user in users.items()}
    _apply(lab, kubectl, wanted)
    live = accounts(lab)
    _delete(lab, kubectl, wanted, live)
    known = {_place(one): str(one["metadata"]["uid"]) for one in live}
    there = {seat: one for seat, one in wanted.items() if _place(one) in known}
    deadline = Deadline(within)

    def granted(seat: str) -> BoundToken | None:
        try:
            return _granted(kubectl, there[seat], known[_place(there[seat])], users[seat], deadline)
        except (LabError, Undecided) as error:
            fail_first(lab, seat, str(error))
            return None

    with ThreadPoolExecutor(_TOGETHER) as executor:
        tokens = dict(zip(there, executor.map(granted, there), strict=True))
    return {
        seat: {PRIVATE: json.dumps(encode(token)).encode()}
        for seat, token in tokens.items()
        if token is not None
    }


def _account(seat: str, user: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": user.rpartition(":")[2],
            "namespace": seat_system_namespace(seat),
            "labels": {SEAT_LABEL: seat, LABEL: "learner"},
        },
        "automountServiceAccountToken": False,
    }


def _place(account: Object) -> tuple[str, str]:
    return account["metadata"]["namespace"], account["metadata"]["name"]


def _apply(lab: Lab, kubectl: Kubectl, wanted: Mapping[str, Object]) -> None:
    """Apply the ServiceAccounts, and record a failure for each seat whose ServiceAccount is
    refused. Raises LabError if the cluster accepts none."""
    try:
        kubectl.apply(wanted.values())
    except Failed as failure:
        refused = refused_by_seat(failure.lines, list(wanted))
        if not refused:
            raise LabError(
                "the cluster took none of the learners' ServiceAccounts:"
                f" {causes.refused(failure.lines)}"
            ) from None
        for seat, lines in refused.items():
            fail_first(
                lab, seat, f"the cluster refused its ServiceAccount: {causes.refused(lines)}"
            )


def _delete(
    lab: Lab, kubectl: Kubectl, wanted: Mapping[str, Object], live: Iterable[Object]
) -> None:
    """Delete the ServiceAccounts of the seats' earlier generations, and record a failure for each
    seat that keeps one or may keep one."""
    namespaces = {_place(one)[0] for one in wanted.values()}
    present = set(map(_place, wanted.values()))
    former = [
        identity(one) for one in live if _place(one)[0] in namespaces and _place(one) not in present
    ]
    if not former:
        return
    try:
        kubectl.run("delete", "--ignore-not-found", "--filename", "-", stdin=listed(former))
    except Failed as failure:
        refused = refused_by_seat(failure.lines, list(wanted))
        if not refused:
            # Such as when a connection breaks: any of the ServiceAccounts may still be there.
            places = {one["metadata"]["namespace"] for one in former}
            refused = {
                seat: failure.lines for seat, one in wanted.items() if _place(one)[0] in places
            }
        for seat, lines in refused.items():
            fail_first(lab, seat, f"its former ServiceAccount stays: {causes.refused(lines)}")


def _granted(
    kubectl: Kubectl, account: Object, uid: str, user: str, deadline: Deadline
) -> BoundToken:
    """Return a token of a ServiceAccount. Raises LabError with the reason if there is none."""
    namespace, name = _place(account)
    if deadline.is_over:
        raise LabError("its token was not issued in time: run `sopslab up` again")
    try:
        said = kubectl.run(
            "--request-timeout", f"{_PATIENCE_S:g}s", "--namespace", namespace,
            "create", "token", name, "--duration", f"{_SECONDS}s", "--output", "json",
            patience=_PATIENCE_S + 5,
        )  # fmt: skip
    except Failed as failure:
        raise LabError(f"its token was not issued: {causes.refused(failure.lines)}") from None
    return _read(parsed(said), uid, user)


def _read(answer: Object, uid: str, user: str) -> BoundToken:
    """Return the token that the API server has granted; its lifetime may be shorter than
    requested."""
    end = datetime.fromisoformat(answer["status"]["expirationTimestamp"])
    begin = int(end.timestamp()) - int(answer["spec"]["expirationSeconds"])
    return BoundToken(user, uid, begin, int(end.timestamp()), str(answer["status"]["token"]))
