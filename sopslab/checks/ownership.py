"""Whether an object in an existing cluster belongs to the lab, by its labels. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sopslab.files.events import named
from sopslab.layout import ID_LABEL, LAB_LABEL
from sopslab.model.objects import Object, label

IDENTITY = re.compile(r"[0-9a-f]{16}")
"""The form of a lab's id."""


@dataclass(frozen=True)
class Owner:
    """A lab, by its name, which another lab may share, and by its id, None if it has none yet.

    `unmarked` is whether the lab has been in the cluster since before labs had ids. If so, objects
    with its name and without an id are its own, too.
    """

    lab: str
    id: str | None
    unmarked: bool

    def has(self, found: Object, key: str = LAB_LABEL) -> bool:
        """Return whether an object belongs to this lab.

        + key: the label with the lab's name
        """
        if label(found, key) != self.lab:
            return False
        marked = label(found, ID_LABEL)
        return self.unmarked if marked is None else marked == self.id


def shared_flux(others: Sequence[str]) -> str:
    """Return in a sentence why a lab's Flux is not removed while others use its kinds.

    + others: their objects of these kinds, and the controllers of a Flux of theirs
    """
    return (
        "this lab's Flux stays, and all that it has brought, because its kinds would go with it,"
        f" and others use them: {named(others)}. Remove those, or have their owners do that, then"
        " run again"
    )
