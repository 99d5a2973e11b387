"""The learners' access to the cluster as it lies in their folders: certificates, kubeconfigs."""

from __future__ import annotations

import stat
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sopslab.checks.access import ClientCertificate, SeenAccess, access_state
from sopslab.checks.kubeconfigs import kubeconfig, standing
from sopslab.config.places import Lab
from sopslab.lab.observe.users import generation_of
from sopslab.lab.tools import files, x509
from sopslab.lab.tools.kubectl import Kubectl


def seat_access(lab: Lab, seats: list[str]) -> dict[str, str]:
    """Return how the kubeconfig of each seat stands, as `access_state` says it."""
    there = [seat for seat in seats if files.has_content(f"{lab.seat_dir(seat)}/kubeconfig")]
    cluster = Kubectl(lab).cluster() if there else None
    seen = {seat: _seen(lab, cluster, seat) for seat in there}
    now = datetime.now(UTC)
    return {seat: access_state(seat, seen.get(seat), now) for seat in seats}


def _seen(lab: Lab, cluster: Mapping[str, Any] | None, seat: str) -> SeenAccess:
    folder = Path(lab.seat_dir(seat))
    certificate = files.read(folder / "client.crt") or b""
    key = files.read(folder / "client.key") or b""
    found = files.read(folder / "kubeconfig") or b""
    signed = x509.certificate_in(certificate)
    return SeenAccess(
        any(_is_open(folder / name) for name in ("kubeconfig", "client.key")),
        generation_of(lab, seat),
        None
        if signed is None
        else ClientCertificate(
            frozenset(part.rfc4514_string() for part in signed.subject.rdns),
            signed.not_valid_after_utc,
        ),
        signed is not None and x509.fits(key, signed),
        standing(found, kubeconfig(lab.lab, cluster, seat, certificate, key), lab.lab, cluster),
    )


def _is_open(path: Path) -> bool:
    """Whether the mode of a file lets others at it; a link's does."""
    try:
        return bool(stat.S_IMODE(path.lstat().st_mode) & 0o077)
    except OSError:
        return False
