"""Who issues the credentials of a lab's learners, and which credentials learners were given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from sopslab.checks.access import Credential
from sopslab.checks.kubeconfigs import Proof
from sopslab.config.places import Lab, Places
from sopslab.lab.observe import bound_tokens, client_certificates
from sopslab.lab.observe.ownership import cluster_id
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.access import ChosenIssuer, Issuer
from sopslab.model.results import Undecided
from sopslab.model.wire import decoded


class Given(Protocol):
    """A module that finds the credentials that an issuer has given to learners. They are `FILES` in
    the folder of a seat, of which only the lab may read `PRIVATE`."""

    FILES: tuple[str, ...]
    PRIVATE: str

    def credential(self, folder: Path, /) -> Credential | None:
        """Return the credential in a folder, None if it cannot be read."""

    def proof(self, folder: Path, /) -> Proof:
        """Return the fields of a kubeconfig that hold the credential in a folder."""

    def flaws(self, lab: Lab, folders: Mapping[str, Path], /) -> dict[str, str]:
        """Return what makes the credentials of seats worthless, by seat."""


GIVEN: Mapping[Issuer, Given] = {
    Issuer.CERTIFICATES: client_certificates,
    Issuer.TOKENS: bound_tokens,
}


def issuer_of(lab: Places) -> Issuer:
    """Return the issuer of the learners' credentials. In a kind cluster of the lab, that is the
    cluster's signer of certificates. An existing cluster is assumed to have one, too, until it has
    been asked."""
    known = None if lab.cluster_provider == "kind" else _recorded(lab)
    return Issuer.CERTIFICATES if known is None else known.issuer


def known_issuer(lab: Lab) -> Issuer | None:
    """Return the issuer that was recorded for the lab's present cluster; None if there is no such
    record, or the cluster cannot be identified."""
    known = _recorded(lab)
    if known is None or not files.has_content(lab.lab_kubeconfig):
        return None
    try:
        return known.issuer if known.cluster == cluster_id(Kubectl(lab)) else None
    except Undecided:
        return None


def _recorded(lab: Places) -> ChosenIssuer | None:
    return decoded(ChosenIssuer, files.read(lab.issuer_file))
