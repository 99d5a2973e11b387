"""The store of a machine that is given entries over SSH: what it has, and what it is sent. Each
entry is in its place as soon as it is whole, so a connection that is cut costs one entry at most.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.beginning import Patient
from sopslab.lab.beginning import Refused as CutOff
from sopslab.lab.bundles.filling import check_space, record, turn_at_once
from sopslab.lab.observe.store import BUNDLE
from sopslab.lab.store.members import Refused, unpack
from sopslab.lab.store.members import held as held_entries
from sopslab.lab.tools import files
from sopslab.model.machines import Consignment, HeldStore
from sopslab.model.wire import decoded

# No list of members is a tenth of that.
_MOST = 1 << 20


def held(root: str) -> HeldStore:
    """Return what the store of a root has."""
    text = files.read(Path(root, BUNDLE))
    return HeldStore(
        held_entries(_of(root)), "" if text is None else hashlib.sha256(text).hexdigest()
    )


def take(root: str) -> None:
    """Put into the store of a root what standard input brings: a line of JSON, a `Consignment`, and
    the bytes of its members.

    Raises LabError where the store has no room for it, others are filling it, it is not what was
    said, or ends too early. What was whole by then stays.
    """
    lab, stream = _of(root), Patient(sys.stdin.buffer)
    with turn_at_once(lab):
        # A killed run has left these.
        for half in Path(lab.store).glob(".new.*"):
            files.remove(half)
        try:
            told = decoded(Consignment, stream.line(_MOST))
            if told is None:
                raise Refused("the delivery does not begin with what is in it")
            check_space(lab, told.members)
            for member in told.members:
                unpack(lab, member, stream)
        except CutOff as reason:
            raise LabError(f"the delivery ended early: {reason}") from None
        record(lab, told.record)


def _of(root: str) -> Lab:
    """Return a lab of a root: its store is that of all of them."""
    return Lab("lab", root, "kind", None, "127.0.0.1", 0, None, None, None, None, "learner")
