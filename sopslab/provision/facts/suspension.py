"""What Flux was told to leave alone, and by whom."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.lab.observe import suspension
from sopslab.model.suspension import Suspended
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class SuspendedObjects(LabFact[list[Suspended]]):
    """
    Returns the sources and Kustomizations of the cluster that are suspended.

    .. code:: python

        [Suspended("Kustomization", "flux-system", "secrets-develop")]
    """

    look = suspension.suspended
    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, suspension.suspended)


class SuspendedHere(LabFact[bool]):
    """
    Returns whether a rotation that was killed has left a Kustomization suspended.
    """

    look = suspension.left_by_a_rotation

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return looking(settings, suspension.left_by_a_rotation, environments=environments)
