"""Operations on the builds of Flux, which runs only one build at a time for the whole class."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.settings import Settings
from sopslab.files.events import note
from sopslab.lab.act import builds
from sopslab.lab.observe.builds import endless_build, oldest
from sopslab.lab.observe.existing import lab_namespaces
from sopslab.lab.observe.objects import all_kustomizations
from sopslab.model.builds import Building
from sopslab.provision.command import Commands, acting
from sopslab.provision.look import forget, look


@operation()
def queue(settings: Settings) -> Commands:
    """
    End a build of the lab that holds up all others. If the repository still has the same commit,
    Flux would begin the same build again; in this case, the build's Kustomization is suspended
    until a reset.

    + settings: the lab's settings
    """
    # Mostly nothing is being built, and nothing has to be watched.
    building = oldest(look(settings, all_kustomizations))
    build = None if building is None else look(settings, endless_build)
    if build is None:
        host.noop("no build holds up the others")
        return
    name = f"{build.namespace}/{build.name}"
    ours = _is_ours(settings, build)
    if ours is None:
        host.noop("the cluster does not say whose build holds up the others")
        return
    if not ours:
        note(
            f"the build of {name} has not ended, and all others wait for it; it is not this lab's,"
            " so have its owner delete that Kustomization"
        )
        host.noop("the build that holds up the others is not this lab's")
        return
    note(f"the build of {name} has not ended")
    forget(all_kustomizations)
    yield acting(settings, builds.end, build=build)


def _is_ours(settings: Settings, build: Building) -> bool | None:
    """Return whether a build is this lab's, None if the cluster does not say."""
    if settings.cluster_provider == "kind":
        return True
    own = look(settings, lab_namespaces)
    return None if own is None else build.namespace in own
