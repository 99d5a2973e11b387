"""The learners' access to the cluster, as found in the folders of their seats."""

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
    """Return the state of each seat's kubeconfig, in the words of `access_state`."""
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
    """Return the credential of each learner, by seat. A seat is left out if it has no kubeconfig,
    or if its credential cannot be read."""
    given = GIVEN[issuer_of(lab)]
    found = {
        seat: given.credential(Path(lab.seat_dir(seat)))
        for seat in seats
        if files.has_content(_kubeconfig(lab, seat))
    }
    return {seat: one for seat, one in found.items() if one is not None}


def access_ends(lab: Places, seats: list[str]) -> dict[str, str]:
    """Return when the kubeconfig of each seat expires, in words, for the seats that `credentials`
    returns."""
    return {seat: in_words(one.end) for seat, one in credentials(lab, seats).items()}


def expired_access(lab: Places, seats: Sequence[str]) -> dict[str, str]:
    """Return when each expired kubeconfig expired, in words, by seat."""
    now = datetime.now(UTC)
    return {
        seat: in_words(one.end) for seat, one in credentials(lab, seats).items() if one.end <= now
    }


def _kubeconfig(lab: Places, seat: str) -> Path:
    return Path(lab.seat_dir(seat), "kubeconfig")


def _is_open(path: Path) -> bool:
    """Return whether the mode of a file gives others access. The mode of a link always does."""
    try:
        return bool(stat.S_IMODE(path.lstat().st_mode) & 0o077)
    except OSError:
        return False
