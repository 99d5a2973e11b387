"""The state of an age identity in the lab's key store; only public keys."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class IdentityState:
    """An identity of the store.

    `recipient` is its public key, None if there is no usable file. `recorded` is the public key
    that was noted when the identity was made. `problem` says in words why the file cannot be used.
    """

    recipient: str | None = None
    recorded: str | None = None
    problem: str | None = None


def recipient_of(states: Mapping[str, IdentityState], key: str) -> str | None:
    """Return the recipient of one of several identities, None if it is missing or unusable."""
    return states.get(key, IdentityState()).recipient
