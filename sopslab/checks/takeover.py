"""What becomes of a lab that an older product made, and which labs this product leaves alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sopslab import __version__
from sopslab.model.formats import Format

# Below the lab's folder: what was there before a migration to this format.
KEPT = "before-format-{}"


@dataclass(frozen=True)
class Change:
    """What becomes of a file: it gets other content or, without any, it goes."""

    path: str
    content: bytes | None = None


@dataclass(frozen=True)
class Migration:
    """The way from one format to the next.

    `says` tells a person what it changes. `files` are patterns of the files that it is about, below
    the lab's folder: never of what a learner writes. `plan` gets what these hold, by path, and
    returns the changes that are left to be made, also where some have been made already.
    """

    says: str
    files: tuple[str, ...]
    plan: Callable[[Mapping[str, bytes]], list[Change]]


def _without_counts(found: Mapping[str, bytes]) -> list[Change]:
    return [Change(path) for path in sorted(found)]


# The first leads from format 0 to format 1. Each stays as it is for ever.
MIGRATIONS = (
    Migration(
        "the lab's folder names its format; counts of accesses, which nothing reads, are removed",
        ("class/seats/*/issue",),
        _without_counts,
    ),
)
FORMAT = len(MIGRATIONS)
"""The format of this product: what it leaves, and the only one that it works on."""


def takeover_plan(found: Format | None) -> list[str]:
    """Return what taking a lab over changes in its folder, a sentence for each format on the way;
    nothing for a lab of this format, or for none."""
    if found is None:
        return []
    return [
        f"format {number - 1} becomes format {number}: {migration.says}"
        for number, migration in enumerate(MIGRATIONS[found.number :], found.number + 1)
    ]


def unfit(found: Format | None, oldest: int = FORMAT) -> str | None:
    """Return why a lab is left alone: a newer product has been there, or it has to be taken over
    first. None where this product works on it.

    + oldest: the first format that is worked on
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
