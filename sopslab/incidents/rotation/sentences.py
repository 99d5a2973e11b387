"""What a rotation would do to the files of an environment, in sentences. Pure."""

from __future__ import annotations

from sopslab.incidents.rotation.phases import replaces_keys
from sopslab.incidents.rotation.plan import LARGE, Version, plan_version, unknown_values
from sopslab.incidents.rotation.record import Rotation
from sopslab.model.repositories import RepositoryState


def rotation_plan(
    rotation: Rotation, repository: RepositoryState, version: Version | None, old: str | None
) -> list[str]:
    """Return in sentences what a rotation would do; none if no file would change.

    + version: the commit of main with its encrypted files, None without a branch main
    + old: the public key of the identity that is replaced, None if it is not known
    """
    if repository.problem is not None or version is None:
        return [repository.problem or "its repository has no branch main"]
    if version.large:
        return [LARGE]
    unknown = unknown_values(version, rotation.exposed)
    sentences = [f"it holds no encrypted {name}" for name in unknown]
    goes = old if replaces_keys(rotation.cause) else None
    plan = plan_version(rotation, version, old=goes, given=())
    if plan.rules:
        sentences.append(".sops.yaml names another recipient")
    for file in plan.files:
        values = ", ".join(leaf.key for leaf in (*file.fresh, *file.given))
        more = f", other values for {values}" if values else ""
        sentences.append(f"{file.path}: another data key{more}")
        sentences += [
            f"{file.path}: a human has to give another value for {leaf.key}" for leaf in file.human
        ]
    return sentences
