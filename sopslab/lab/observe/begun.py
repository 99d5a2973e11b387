"""Which seats have all that a seat begins with."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.observe.checkpoints import START
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.git import Git


def begun_seats(lab: Lab, seats: list[str]) -> list[str]:
    """Return the seats whose repository has its first commit, and whose canary is known by its
    hash."""
    return [seat for seat in seats if _has_begun(lab, seat)]


def _has_begun(lab: Lab, seat: str) -> bool:
    if not has_content(Path(lab.seat_dir(seat), "canary")):
        return False
    repository = Git(lab, f"{lab.git_dir}/repositories/{seat}/lab.git")
    return repository.commit(START) is not None
