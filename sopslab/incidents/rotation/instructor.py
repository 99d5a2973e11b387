"""Another instructor's recipient in the files of an environment: nothing has leaked, so the values
stay. Pure."""

from __future__ import annotations

from collections.abc import Collection

from sopslab.incidents.rotation.plan import FilePlan, Version, VersionPlan
from sopslab.policy import sops


def former_recipient(held: Collection[str], own: str | None, present: str | None) -> str | None:
    """Return the instructor's recipient that has to make room for the present one, None if none
    has, or if it cannot be told which.

    + held: the recipients of what the lab encrypted last
    + own: the recipient of the environment
    """
    others = set(held) - {own}
    if own not in held or present is None or present in held or len(others) != 1:
        return None
    return others.pop()


def plan_succession(version: Version, former: str) -> VersionPlan:
    """Return what of a version changes: each file that is encrypted to the former recipient, and
    the rules that name it."""
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
