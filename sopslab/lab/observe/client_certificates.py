"""A learner's client certificate and its key in the folder of the seat."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from sopslab.checks.access import Credential
from sopslab.checks.kubeconfigs import Proof, by_certificate
from sopslab.config.places import Lab
from sopslab.lab.tools import files
from sopslab.model.access import CERTIFICATE, CERTIFICATE_KEY, CREDENTIALS, Issuer

PRIVATE = CERTIFICATE_KEY
FILES = CREDENTIALS[Issuer.CERTIFICATES]


def credential(folder: Path) -> Credential | None:
    """Return subject, beginning and end of the certificate in a folder, None if unreadable."""
    return _credential(files.read(folder / CERTIFICATE) or b"")


# Cached, because a board looks at each seat every few seconds.
@lru_cache(maxsize=4096)
def _credential(pem: bytes) -> Credential | None:
    # Imported here: it brings cryptography, and `status` without a class needs none.
    from sopslab.lab.tools import x509

    found = x509.certificate_in(pem)
    if found is None:
        return None
    return Credential(
        frozenset(part.rfc4514_string() for part in found.subject.rdns),
        found.not_valid_before_utc,
        found.not_valid_after_utc,
    )


def proof(folder: Path) -> Proof:
    """Return the fields of a kubeconfig that hold the certificate and the key in a folder."""
    certificate, key = (files.read(folder / name) or b"" for name in (CERTIFICATE, PRIVATE))
    return by_certificate(certificate, key)


def flaws(_lab: Lab, folders: Mapping[str, Path]) -> dict[str, str]:
    """Return what is wrong with the certificates of seats, by seat.

    The cluster is not asked, because it keeps no list of them: a certificate is valid until it
    expires.

    + folders: the folder with the certificate of each seat
    """
    return {
        seat: "its key does not fit its certificate"
        for seat, folder in folders.items()
        if not _fits(folder)
    }


def _fits(folder: Path) -> bool:
    from sopslab.lab.tools import x509

    signed = x509.certificate_in(files.read(folder / CERTIFICATE) or b"")
    return signed is not None and x509.fits(files.read(folder / PRIVATE) or b"", signed)
