"""The key with which Flux decrypts, as the cluster holds it: in public."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sopslab.layout import KEY_ENTRY


@dataclass(frozen=True)
class DecryptionKeyState:
    """What `sops-age` in the cluster holds: its recipient, its entries, its label.

    `next` is the recipient that will follow, while the key is replaced.
    """

    present: bool = False
    recipient: str | None = None
    next: str | None = None
    entries: tuple[str, ...] = ()
    watched: bool = False

    def holds(self, recipient: str | None) -> bool:
        """Return whether Flux decrypts with it what is encrypted to a recipient."""
        return recipient is not None and recipient in (self.recipient, self.next)

    @property
    def problem(self) -> str | None:
        """Why Flux could not decrypt with it, in words; Flux's own do not name these causes."""
        if not self.present or self.recipient is not None:
            return None
        if KEY_ENTRY in self.entries:
            return f"its entry {KEY_ENTRY} holds no valid age identity"
        named = ", ".join(self.entries) or "none"
        return f"it lacks the entry {KEY_ENTRY} (it has: {named}); Flux reads what ends in .agekey"


class SecretDrift(StrEnum):
    """In what a Secret of an environment is not as the host has it; the last is the worst."""

    ABSENT = "absent"
    DIFFERS = "differs"
    # The host's decryption key is not among the cluster's.
    KEY = "key"
    # The host itself lacks something that the Secret is made of.
    LACKING = "lacking"
