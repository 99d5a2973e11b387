"""What Flux builds right now: facts about the one lock that all builds of a cluster share."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.lab.observe import builds
from sopslab.model.builds import Building
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class EndlessBuild(LabFact[Building | None]):
    """
    Returns the oldest build, which is the one that holds the lock, once it has had all the time
    that a build is given; None if no build takes longer than builds do.
    """

    look = builds.endless

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, builds.endless)
