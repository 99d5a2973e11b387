"""Facts about age identities: public keys only, an identity itself never leaves its file."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.lab.observe import identities
from sopslab.model.identities import IdentityState
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact

__all__ = ["Identities", "Identity", "IdentityState"]


class Identity(LabFact[IdentityState]):
    """
    Returns how the identity `key` of the lab's key store stands, as an `IdentityState`.
    """

    look = identities.identity
    default = IdentityState

    @override
    def command(self, settings: Settings, key: str) -> StringCommand:
        return looking(settings, identities.identity, key=key)


class Identities(LabFact[dict[str, IdentityState]]):
    """
    Returns how each of the identities `keys` of the lab's key store stands; one look for all.

    .. code:: python

        {"ada": IdentityState(recipient="age1…", recorded="age1…")}
    """

    look = identities.identities
    default = dict

    @override
    def command(self, settings: Settings, keys: list[str]) -> StringCommand:
        return looking(settings, identities.identities, keys=keys)
