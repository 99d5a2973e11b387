"""The key with which Flux decrypts, as the cluster has it; only its public half."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sopslab.layout import KEY_ENTRY


@dataclass(frozen=True)
class DecryptionKeyState:
    """The state of the Secret `sops-age` in the cluster.

    `recipient` and `next` are the recipients of its identities; `next` exists only while the key is
    being replaced. `entries` are the names of its entries. `watched` is whether it has the labels
    that make Flux notice a change.
    """

    present: bool = False
    recipient: str | None = None
    next: str | None = None
    entries: tuple[str, ...] = ()
    watched: bool = False

    def holds(self, recipient: str | None) -> bool:
        """Return whether Flux can decrypt with this key what is encrypted to a recipient."""
        return recipient is not None and recipient in (self.recipient, self.next)

    @property
    def problem(self) -> str | None:
        """Why Flux cannot decrypt with this key, in words. Flux's own messages do not name these
        causes."""
        if not self.present or self.recipient is not None:
            return None
        if KEY_ENTRY in self.entries:
            return f"its entry {KEY_ENTRY} holds no valid age identity"
        named = ", ".join(self.entries) or "none"
        return f"it lacks the entry {KEY_ENTRY} (it has: {named}); Flux reads what ends in .agekey"


class SecretDrift(StrEnum):
    """How a Secret of an environment differs from the host's files, from mild to worst."""

    ABSENT = "absent"
    DIFFERS = "differs"
    # The host's decryption key is not among the cluster's.
    KEY = "key"
    # The host itself lacks something that the Secret is made of.
    LACKING = "lacking"
