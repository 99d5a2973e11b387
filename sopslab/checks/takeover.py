"""How a lab of an older version is taken over, and which labs this version leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sopslab import __version__
from sopslab.model.formats import Format

# Below the lab's folder: files as they were before a migration to this format.
KEPT = "before-format-{}"


@dataclass(frozen=True)
class Change:
    """A change of a file: its new content, or None to remove it."""

    path: str
    content: bytes | None = None


@dataclass(frozen=True)
class Migration:
    """The way from one format to the next.

    `says` tells a person what it changes. `files` are patterns of its files below the lab's folder,
    never of a learner's files. `plan` gets their content by path, and returns the changes that are
    left, also if some were made already.
    """

    says: str
    files: tuple[str, ...]
    plan: Callable[[Mapping[str, bytes]], list[Change]]


def _without_counts(found: Mapping[str, bytes]) -> list[Change]:
    return [Change(path) for path in sorted(found)]


# The first leads from format 0 to format 1. None is ever changed.
MIGRATIONS = (
    Migration(
        "the lab's folder names its format; counts of accesses, which nothing reads, are removed",
        ("class/seats/*/issue",),
        _without_counts,
    ),
)
FORMAT = len(MIGRATIONS)
"""The format of this version: it writes this format, and works on no other."""


def takeover_plan(found: Format | None) -> list[str]:
    """Return what taking over a lab changes in its folder, a sentence for each format on the way;
    empty for a lab of this format, or without a lab."""
    if found is None:
        return []
    return [
        f"format {number - 1} becomes format {number}: {migration.says}"
        for number, migration in enumerate(MIGRATIONS[found.number :], found.number + 1)
    ]


def unfit(found: Format | None, oldest: int = FORMAT) -> str | None:
    """Return why a lab is left alone, because a newer version has worked on it, or it has to be
    taken over first; None if this version works on it.

    + oldest: the oldest format that is accepted
    """
    if found is None or oldest <= found.number <= FORMAT:
        return None
    if found.number < oldest:
        return (
            f"the lab has format {found.number}, of an older sops-lab: `sopslab up` takes it over,"
            " and `sopslab up --dry-run` says what that changes"
        )
    by = f" by sops-lab {found.product}" if found.product else ""
    return (
        f"the lab has format {found.number}, given to it{by}, and sops-lab {__version__} knows"
        f" {FORMAT} at most: use that version or a later one"
    )
