"""Who vouches for the learners of a lab, and what they were given."""

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
    """A module that finds what an issuer has given learners: `FILES` in the folder of a seat, of
    which only the lab may read `PRIVATE`."""

    FILES: tuple[str, ...]
    PRIVATE: str

    def credential(self, folder: Path, /) -> Credential | None:
        """Return what is found in a folder, None where it cannot be read."""

    def proof(self, folder: Path, /) -> Proof:
        """Return what a kubeconfig has of it."""

    def flaws(self, lab: Lab, folders: Mapping[str, Path], /) -> dict[str, str]:
        """Return what makes it worthless, by seat."""


GIVEN: Mapping[Issuer, Given] = {
    Issuer.CERTIFICATES: client_certificates,
    Issuer.TOKENS: bound_tokens,
}


def issuer_of(lab: Places) -> Issuer:
    """Return who vouches for the learners of a lab: in a cluster of ours its signer, and so it is
    taken to be in another one that was not asked yet."""
    known = None if lab.cluster_provider == "kind" else _recorded(lab)
    return Issuer.CERTIFICATES if known is None else known.issuer


def known_issuer(lab: Lab) -> Issuer | None:
    """Return the issuer that the lab's present cluster was found to have; None where that is not
    known."""
    known = _recorded(lab)
    if known is None or not files.has_content(lab.lab_kubeconfig):
        return None
    try:
        return known.issuer if known.cluster == cluster_id(Kubectl(lab)) else None
    except Undecided:
        return None


def _recorded(lab: Places) -> ChosenIssuer | None:
    return decoded(ChosenIssuer, files.read(lab.issuer_file))
