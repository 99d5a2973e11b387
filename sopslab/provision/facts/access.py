"""Facts about the learners' access to the cluster: their users, certificates and kubeconfigs."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.lab.observe import access, users
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class SeatAccess(LabFact[dict[str, str]]):
    """
    Returns how the kubeconfig of each of `seats` stands: `current`, `missing`, or `stale: …` with
    the reason.

    .. code:: python

        {"ada": "current", "bob": "stale: it leads to another cluster"}
    """

    look = access.access
    default = dict

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, access.access, seats=seats)


class SeatGenerations(LabFact[dict[str, str]]):
    """
    Returns the generation of each seat's access, which its user is named after. A seat that is not
    named has none, or one that cannot be read.

    .. code:: python

        {"ada": "5f0c9a31e27b44", "bob": "e91d07b6c3a852"}
    """

    look = users.generations
    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, users.generations)


class UnboundUsers(LabFact[dict[str, str]]):
    """
    Returns the present users of `seats` that the cluster does not let into their namespace, or not
    alone; all of them where it does not answer.

    .. code:: python

        {"ada": "sops-lab:ada:5f0c9a31e27b44"}
    """

    look = users.unbound
    default = dict

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, users.unbound, seats=seats)


class RetiredAccess(LabFact[list[str]]):
    """
    Returns those of `seats` whose replaced access is kept until it is proven to be worth nothing.
    """

    look = users.retired
    default = list

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, users.retired, seats=seats)
