"""How an age identity of the lab's key store stands: public keys only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class IdentityState:
    """An identity of the store.

    `recipient` is its public key, None if there is no usable file; `recorded` is the public key
    that was noted when it was made; `problem` says in words why the file cannot be used.
    """

    recipient: str | None = None
    recorded: str | None = None
    problem: str | None = None


def recipient_of(states: Mapping[str, IdentityState], key: str) -> str | None:
    """Return the recipient of an identity among others, None without a usable one."""
    return states.get(key, IdentityState()).recipient
