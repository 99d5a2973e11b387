"""Facts about Flux in the lab's cluster."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.lab.observe import existing, host_secrets
from sopslab.model.decryption import DecryptionKeyState
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class DecryptionKey(LabFact[DecryptionKeyState]):
    """
    Returns how the cluster's decryption key stands, as a `DecryptionKeyState`.
    """

    look = host_secrets.decryption_key
    default = DecryptionKeyState

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, host_secrets.decryption_key)


class FluxInstalled(LabFact[bool]):
    """
    Returns whether the lab's cluster has the namespace of a Flux that this lab installed.
    """

    look = existing.has_flux

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, existing.has_flux)
