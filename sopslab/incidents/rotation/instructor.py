"""Replace the instructor's recipient in the files of an environment. Nothing has leaked, so values
stay as they are. Pure."""

from __future__ import annotations

from collections.abc import Collection

from sopslab.incidents.rotation.plan import FilePlan, Version, VersionPlan
from sopslab.policy import sops


def former_recipient(held: Collection[str], own: str | None, present: str | None) -> str | None:
    """Return the former recipient of the instructor that the present one has to replace; None if
    there is none, or it cannot be identified.

    + held: the recipients of what the lab encrypted last
    + own: the recipient of the environment
    + present: the instructor's present recipient
    """
    others = set(held) - {own}
    if own not in held or present is None or present in held or len(others) != 1:
        return None
    return others.pop()


def plan_succession(version: Version, former: str) -> VersionPlan:
    """Return what changes in a version: each file that is encrypted to the former recipient, and
    the rules if they name it."""
    files = tuple(
        FilePlan(
            path,
            version.files[path],
            found.secret,
            recipients=tuple(sorted(found.recipients)),
            foreign=sops.foreign_kinds(version.texts[version.files[path]]),
        )
        for path, found in version.encrypted()
        if former in found.recipients
    )
    return VersionPlan(version.commit, files, former in version.rules)
