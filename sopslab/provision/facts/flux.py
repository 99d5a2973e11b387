"""Facts about Flux in the lab's cluster."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.lab.observe import host_secrets
from sopslab.model.decryption import DecryptionKeyState
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class DecryptionKey(LabFact[DecryptionKeyState]):
    """
    Returns how the cluster's decryption key stands, as a `DecryptionKeyState`.
    """

    look = host_secrets.held_key
    default = DecryptionKeyState

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, host_secrets.held_key)
