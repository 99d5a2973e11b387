"""How a lab of an older version is taken over, and which labs this version leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sopslab import __version__
from sopslab.model.formats import Format

if TYPE_CHECKING:
    from packaging.version import Version

# The folder, below the lab's, that keeps files as they were before a migration to this format.
KEPT = "before-format-{}"


@dataclass(frozen=True)
class Change:
    """A change of a file: its new content, or None to remove it."""

    path: str
    content: bytes | None = None


@dataclass(frozen=True)
class Migration:
    """The way from one format to the next.

    `says` tells a person what it changes. `files` are patterns of the files that it may change,
    below the lab's folder; none of them is a learner's file. `plan` is given the content of these
    files by path, and returns the changes that are left to make; some may have been made already.
    """

    says: str
    files: tuple[str, ...]
    plan: Callable[[Mapping[str, bytes]], list[Change]]


def _without_counts(found: Mapping[str, bytes]) -> list[Change]:
    return [Change(path) for path in sorted(found)]


# The first migration leads from format 0 to format 1. A released migration is never changed.
MIGRATIONS = (
    Migration(
        "the lab's folder names its format; counts of accesses, which nothing reads, are removed",
        ("class/seats/*/issue",),
        _without_counts,
    ),
)
FORMAT = len(MIGRATIONS)
"""The format that this version writes; it works on no other format."""


def takeover_plan(found: Format | None) -> list[str]:
    """Return what taking over a lab changes in its folder: one sentence for each format on the way,
    and one where an older version has brought the lab up last. Return none if the lab is this
    version's already, or if there is no lab."""
    if found is None:
        return []
    plan = [
        f"format {number - 1} becomes format {number}: {migration.says}"
        for number, migration in enumerate(MIGRATIONS[found.number :], found.number + 1)
    ]
    if _version(found.product) < _version(__version__):
        plan.append("from now on no older sops-lab changes the lab")
    return plan


def unfit(found: Format | None, oldest: int = FORMAT) -> str | None:
    """Return why this version leaves a lab alone: a newer version has worked on the lab, or the lab
    has to be taken over first. Return None if this version works on it.

    + oldest: the oldest format that is accepted
    """
    if found is None:
        return None
    if found.number < oldest:
        return (
            f"the lab has format {found.number}, of an older sops-lab: `sopslab up` takes it over,"
            " and `sopslab up --dry-run` says what that changes"
        )
    if found.number > FORMAT:
        by = f" by sops-lab {found.product}" if found.product else ""
        return (
            f"the lab has format {found.number}, given to it{by}, and sops-lab {__version__} knows"
            f" {FORMAT} at most: use that version or a later one"
        )
    if _version(found.product) > _version(__version__):
        return (
            f"the lab was brought up by sops-lab {found.product}, and sops-lab {__version__} is"
            " older: use that version or a later one"
        )
    return None


def _version(product: str) -> Version:
    """Return a version to compare; what is no version is older than every one."""
    # Imported here, because each verb imports this module, and few compare versions.
    from packaging.version import InvalidVersion, Version

    try:
        return Version(product)
    except InvalidVersion:
        return Version("0.dev0")
