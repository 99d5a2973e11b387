"""What the embedded Git server hands out to learners: their page, their kubeconfig, and the CA."""

from __future__ import annotations

import hashlib
import stat
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools import files, x509

HANDED_OUT = 0o640
"""The mode of what it reads by its group."""


def stale_handouts(lab: Lab, pages: dict[str, str]) -> list[str]:
    """Return the seats to which not what it should be is handed out; all where the CA is not. A
    seat without a kubeconfig has nothing to be handed out yet.

    + pages: the SHA-256 of each seat's page
    """
    made = {seat: files.read(f"{lab.seat_dir(seat)}/kubeconfig") for seat in pages}
    group = _group(lab)
    certificate = ca_certificate(lab)
    ca = certificate is None or _is(Path(lab.handouts_dir, "ca.crt"), _sum(certificate), group)
    return [
        seat
        for seat, page in pages.items()
        if (kubeconfig := made[seat])
        and not (
            ca
            and _is(Path(lab.handout_dir(seat), "page.html"), page, group)
            and _is(Path(lab.handout_dir(seat), "kubeconfig"), _sum(kubeconfig), group)
        )
    ]


def handed_out(lab: Lab) -> list[str]:
    """Return what is handed out now: the ids of seats, and `ca.crt`."""
    try:
        return sorted(path.name for path in Path(lab.handouts_dir).iterdir())
    except OSError:
        return []


def ca_certificate(lab: Lab) -> bytes | None:
    """Return the certificate of the lab's CA in PEM and nothing beside it, None without one."""
    if lab.git_ca is None:
        return None
    found = x509.certificate_in(files.read(lab.git_ca) or b"")
    return None if found is None else x509.certificate_pem(found)


def _is(path: Path, digest: str, group: int | None) -> bool:
    """Whether a file has this content, and the Git server alone can read it beside the lab."""
    try:
        about = path.lstat()
    except OSError:
        return False
    right = (stat.S_IFREG | HANDED_OUT, group)
    return (about.st_mode, about.st_gid) == right and _sum(files.read(path) or b"") == digest


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _group(lab: Lab) -> int | None:
    """Return the group of the Git server, which the folder hands on; None without a folder."""
    try:
        return Path(lab.handouts_dir).stat().st_gid
    except OSError:
        return None
