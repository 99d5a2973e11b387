"""What a rotation would do to environments, without a step of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sopslab.config.environment import Environment
from sopslab.incidents.rotation.phases import replaces_keys, touches_files
from sopslab.incidents.rotation.record import Rotation, key_of
from sopslab.incidents.rotation.sentences import rotation_plan
from sopslab.lab.observe.checkpoints import repository_states
from sopslab.lab.observe.encrypted import encrypted_versions
from sopslab.lab.observe.identities import identity_states
from sopslab.model.identities import recipient_of

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


def plan_rotation(
    settings: Settings, environments: Sequence[Environment], rotation: Rotation
) -> dict[str, list[str]]:
    """Return for each environment what a rotation would do to its files.

    + rotation: the one that is under way, or one of which nothing is done yet
    """
    if not touches_files(rotation.cause):
        return {one.id: [] for one in environments}
    lab, asked = settings.for_machine, list(environments)
    keys = list(dict.fromkeys(key_of(rotation, one) for one in asked))
    states = identity_states(lab, keys) if replaces_keys(rotation.cause) else {}
    found = repository_states(lab, asked, "start", "")
    mains = {one.id: main for one in asked if (main := found[one.id].main) is not None}
    commits = {learner: [main] for learner, main in mains.items()}
    read = [one for one in asked if one.id in mains]
    versions = encrypted_versions(lab, read, commits, rotation.incident)
    plan = {}
    for one in asked:
        key = key_of(rotation, one)
        old = rotation.retiring.get(key) or recipient_of(states, key)
        version = versions.get(one.id, {}).get(mains.get(one.id, ""))
        plan[one.id] = rotation_plan(rotation, found[one.id], version, old)
    return plan
