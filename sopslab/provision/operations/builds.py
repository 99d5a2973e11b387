"""Operations on the builds of Flux, which runs only one build at a time for the whole class."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import builds
from sopslab.lab.observe.builds import endless_build
from sopslab.provision.command import Commands, acting
from sopslab.provision.look import look


@operation()
def queue(settings: Settings) -> Commands:
    """
    End a build that holds up all others. If the repository still has the same commit, Flux would
    begin the same build again; in this case, the build's Kustomization is suspended until a reset.

    + settings: the lab's settings
    """
    build = look(settings, endless_build)
    if build is None:
        host.noop("no build holds up the others")
        return
    note(f"the build of {build.namespace}/{build.name} has not ended")
    yield acting(settings, builds.end, build=build)
