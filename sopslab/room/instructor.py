"""The instructor's identity of a room: the private key stays on the controller."""

from __future__ import annotations

from sopslab.config.places import INSTRUCTOR, Room
from sopslab.errors import Exit, LabError
from sopslab.lab.act.identities import generate, record
from sopslab.lab.observe.identities import identity_states


def recipient(room: Room, kind: str) -> str:
    """Return the public key of the room's own identity, which is made once and never again.

    Raises LabError if the private key cannot be used, or is gone.

    + kind: `x25519` or `pq`
    """
    path = f"{room.keys_dir}/{INSTRUCTOR}"
    found = identity_states(room, [INSTRUCTOR])[INSTRUCTOR]
    if found.recipient is None and found.recorded is None and found.problem is None:
        generate(room, kind, [path])
        found = identity_states(room, [INSTRUCTOR])[INSTRUCTOR]
    if found.recipient is None or found.recorded not in (None, found.recipient):
        reason = found.problem or "it is not the one that was made for this room"
        raise LabError(
            f"{path}.agekey cannot be used ({reason}): restore it from your backup, because the"
            " seats encrypt to it",
            Exit.KEYS,
        )
    if found.recorded is None:
        # If the private key is lost later, the record keeps it from being made anew.
        record(room, [path])
    return found.recipient
