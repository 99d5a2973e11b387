"""The learners' access to the cluster as it lies in their folders."""

from __future__ import annotations

import stat
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from sopslab.checks.access import Credential, SeenAccess, access_state
from sopslab.checks.kubeconfigs import kubeconfig, standing
from sopslab.config.moments import in_words
from sopslab.config.places import Lab, Places
from sopslab.lab.observe.issuers import GIVEN, issuer_of
from sopslab.lab.observe.users import generation_of
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl


def seat_access(lab: Lab, seats: list[str]) -> dict[str, str]:
    """Return how the kubeconfig of each seat stands, as `access_state` says it."""
    seen = _seen(lab, [seat for seat in seats if files.has_content(_kubeconfig(lab, seat))])
    now = datetime.now(UTC)
    return {seat: access_state(seat, seen.get(seat), now) for seat in seats}


def _seen(lab: Lab, seats: Sequence[str]) -> dict[str, SeenAccess]:
    if not seats:
        return {}
    issuer, cluster = issuer_of(lab), Kubectl(lab).cluster()
    given = GIVEN[issuer]
    folders = {seat: Path(lab.seat_dir(seat)) for seat in seats}
    flaws = given.flaws(lab, folders)
    found = {}
    for seat, folder in folders.items():
        wanted = kubeconfig(lab.lab, cluster, seat, given.proof(folder))
        written = files.read(folder / "kubeconfig") or b""
        found[seat] = SeenAccess(
            any(_is_open(folder / name) for name in ("kubeconfig", given.PRIVATE)),
            issuer,
            generation_of(lab, seat),
            given.credential(folder),
            flaws.get(seat),
            standing(written, wanted, lab.lab, cluster),
        )
    return found


def credentials(lab: Places, seats: Sequence[str]) -> dict[str, Credential]:
    """Return what proves who learners are, by seat; a seat without a kubeconfig, or with one that
    cannot be told, is not named."""
    given = GIVEN[issuer_of(lab)]
    found = {
        seat: given.credential(Path(lab.seat_dir(seat)))
        for seat in seats
        if files.has_content(_kubeconfig(lab, seat))
    }
    return {seat: one for seat, one in found.items() if one is not None}


def access_ends(lab: Places, seats: list[str]) -> dict[str, str]:
    """Return, as people read it, when the kubeconfigs of seats end; those are named that
    `credentials` names."""
    return {seat: in_words(one.end) for seat, one in credentials(lab, seats).items()}


def expired_access(lab: Places, seats: Sequence[str]) -> dict[str, str]:
    """Return, as people read it, until when kubeconfigs were good that are no more, by seat."""
    now = datetime.now(UTC)
    return {
        seat: in_words(one.end) for seat, one in credentials(lab, seats).items() if one.end <= now
    }


def _kubeconfig(lab: Places, seat: str) -> Path:
    return Path(lab.seat_dir(seat), "kubeconfig")


def _is_open(path: Path) -> bool:
    """Whether the mode of a file lets others at it; a link's does."""
    try:
        return bool(stat.S_IMODE(path.lstat().st_mode) & 0o077)
    except OSError:
        return False
