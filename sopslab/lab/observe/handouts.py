"""The hand-outs that the lab's own Git server has for learners: their page, their kubeconfig, and
the CA."""

from __future__ import annotations

import hashlib

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.observe.served import served, served_names
from sopslab.lab.tools import files

CA = "ca.crt"


def stale_handouts(lab: Lab, pages: dict[str, str]) -> list[str]:
    """Return the seats whose hand-outs are missing or out of date. If the CA is, these are all
    seats. A seat without a kubeconfig is left out, because it has no hand-outs yet.

    + pages: the SHA-256 of each seat's page
    """
    made = {seat: files.read(f"{lab.seat_dir(seat)}/kubeconfig") for seat in pages}
    there = _served(lab)
    certificate = ca_certificate(lab)
    ca = certificate is None or there.get(CA) == _sum(certificate)
    return [
        seat
        for seat, page in pages.items()
        if (kubeconfig := made[seat])
        and not (
            ca
            and there.get(f"{seat}/page.html") == page
            and there.get(f"{seat}/kubeconfig") == _sum(kubeconfig)
        )
    ]


def fetchable(lab: Lab) -> frozenset[str]:
    """Return the seats whose kubeconfig the server hands out now; none if it cannot be asked."""
    paths = (path.partition("/") for path in _served(lab))
    return frozenset(seat for seat, _, name in paths if name == "kubeconfig")


def _served(lab: Lab) -> dict[str, str]:
    try:
        return served(lab)
    except LabError:
        return {}


def handed_out(lab: Lab) -> list[str]:
    """Return the names of what the server hands out now: ids of seats, and `ca.crt`. Return none if
    the server cannot be asked."""
    try:
        return served_names(lab)
    except LabError:
        return []


def ca_certificate(lab: Lab) -> bytes | None:
    """Return the certificate of the lab's CA in PEM, without anything else that its file holds;
    None if there is none."""
    if lab.git_ca is None:
        return None
    # Imported here: it brings cryptography, and a lab on loopback has no CA.
    from sopslab.lab.tools import x509

    found = x509.certificate_in(files.read(lab.git_ca) or b"")
    return None if found is None else x509.certificate_pem(found)


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
