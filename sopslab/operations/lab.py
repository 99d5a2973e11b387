"""Operations on what a lab keeps on the host."""

from __future__ import annotations

from pyinfra import host
from pyinfra.api import operation

from sopslab.command import Commands, script
from sopslab.facts.lab import LabData
from sopslab.settings import Settings


@operation()
def purged(settings: Settings) -> Commands:
    """
    Have nothing left of a lab: its keys, Git data and working copy, and with the last lab of a root
    the store, the links, the caches and the images as well.

    + settings: the lab's settings
    """
    if not host.get_fact(LabData, settings=settings):
        host.noop("nothing is left of the lab")
        return
    yield script(
        """
        root=$1 lab=$2
        rm -rf "${root:?}/labs/${lab:?}"
        rmdir "$root/labs" 2>/dev/null || exit 0
        # Go's module cache is read-only.
        [ ! -d "$root/cache" ] || chmod -R u+w "$root/cache"
        rm -rf "$root/store" "${root:?}/bin" "$root/cache" "$root/schemas" "$root/lock.json" \\
            "$root/source"
        rmdir "$root" 2>/dev/null || true
        docker image ls --filter 'reference=sops-lab/*' --format '{{.Repository}}:{{.Tag}}' \\
            | xargs -r docker image rm >/dev/null
        """,
        settings.root,
        settings.lab,
    )
