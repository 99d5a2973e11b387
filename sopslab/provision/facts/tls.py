"""The fact about the lab's CA and the certificate of its Git server."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.lab.observe import certificates
from sopslab.model.certificates import TlsState
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class Tls(LabFact[TlsState]):
    """
    Returns how the lab's CA and the certificate of its Git server stand, as a `TlsState`.
    """

    look = certificates.tls
    default = TlsState

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, certificates.tls)
