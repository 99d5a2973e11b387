"""Operations on what a lab keeps on the host."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.config.settings import Settings
from sopslab.lab.act import removal
from sopslab.lab.observe.folders import lab_folder, leftovers
from sopslab.provision.command import Commands, acting, script
from sopslab.provision.look import look


@operation()
def swept(settings: Settings) -> Commands:
    """
    Have nothing around that a killed run was writing: what it wrote to is named `.new.*` or `*.new`
    until it is complete.

    + settings: the lab's settings
    """
    found = look(settings, leftovers)
    if not found:
        host.noop("no run was killed")
        return
    yield script('rm -rf -- "$@"', *found)


@operation()
def purged(settings: Settings) -> Commands:
    """
    Have nothing left of a lab: its keys, Git data and clone, and with the last lab of a root
    the store, the links, the caches and the images as well.

    + settings: the lab's settings
    """
    if not look(settings, lab_folder):
        host.noop("nothing is left of the lab")
        return
    yield acting(settings, removal.purge)
