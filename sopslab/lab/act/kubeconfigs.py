"""Learners' kubeconfigs, with the certificates or tokens that the lab's issuer gives. A seat's
failure is recorded, and the other seats go on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sopslab.checks.kubeconfigs import kubeconfig
from sopslab.config.places import Lab
from sopslab.lab.act import bound_tokens, client_certificates
from sopslab.lab.act.failures import fail_first, meaning_of
from sopslab.lab.observe.issuers import GIVEN, Given, issuer_of
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.access import Issuer
from sopslab.model.objects import Object


class Issuing(Protocol):
    """A module that issues what proves who a learner is."""

    def issue(self, lab: Lab, users: Mapping[str, str], within: int) -> dict[str, dict[str, bytes]]:
        """Return, for each seat and by name, the files that prove that its learner is a user."""


_ISSUERS: Mapping[Issuer, Issuing] = {
    Issuer.CERTIFICATES: client_certificates,
    Issuer.TOKENS: bound_tokens,
}


def issue(lab: Lab, users: dict[str, str], within: int) -> None:
    """Give each seat what proves that its learner is a user, and a kubeconfig that contains it.

    Raises LabError where the cluster issues nothing at all, and Undecided where it does not show
    its ServiceAccounts.

    + users: the user that the cluster is to take each seat's learner for
    + within: how many seconds the cluster has
    """
    for name in ("seats", "failed"):
        files.private_folder(f"{lab.class_dir}/{name}")
    issuer = issuer_of(lab)
    made = _ISSUERS[issuer].issue(lab, users, within)
    if made:
        _hand_over(lab, made, GIVEN[issuer], Kubectl(lab).cluster())


def _hand_over(
    lab: Lab,
    made: Mapping[str, Mapping[str, bytes]],
    given: Given,
    cluster: Object | None,
) -> None:
    with files.new_folder(f"{lab.class_dir}/seats") as new:
        for seat, contents in made.items():
            try:
                for name, content in contents.items():
                    files.write(new / seat / name, content)
                text = kubeconfig(lab.lab, cluster, seat, given.proof(new / seat))
                files.write(new / seat / "kubeconfig", text)
                # The kubeconfig comes last: a seat has access when its kubeconfig is there.
                for name in (*contents, "kubeconfig"):
                    (new / seat / name).rename(Path(lab.seat_dir(seat), name))
                _tidy(Path(lab.seat_dir(seat)), given)
            except OSError as error:
                fail_first(lab, seat, f"its access could not be written: {meaning_of(error)}")


def _tidy(folder: Path, given: Given) -> None:
    """Remove from a seat's folder the files of other issuers: they belong to another cluster."""
    for other in GIVEN.values():
        for name in set(other.FILES) - set(given.FILES):
            files.remove(folder / name)
