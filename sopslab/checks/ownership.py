"""Whose an object is in a cluster that has others' objects, too: told by its labels. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sopslab.layout import ID_LABEL, LAB_LABEL
from sopslab.model.objects import Object, label

IDENTITY = re.compile(r"[0-9a-f]{16}")
"""What the id of a lab looks like."""


@dataclass(frozen=True)
class Owner:
    """A lab by its name, which others may have, too, and by its id, None where it has none yet.

    `unmarked` is whether it has been in the cluster before labs had ids: what carries its name and
    no id is its own then.
    """

    lab: str
    id: str | None
    unmarked: bool

    def has(self, found: Object, key: str = LAB_LABEL) -> bool:
        """Return whether an object is this lab's.

        + key: the label that has the lab's name
        """
        if label(found, key) != self.lab:
            return False
        marked = label(found, ID_LABEL)
        return self.unmarked if marked is None else marked == self.id
