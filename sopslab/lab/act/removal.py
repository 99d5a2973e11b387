"""Remove a lab from the machine, with all that exists only once."""

from __future__ import annotations

from contextlib import ExitStack, suppress
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.observe.store import BUILDS
from sopslab.lab.store.bench import removal, turn
from sopslab.lab.tools import files
from sopslab.lab.tools.docker import docker
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed

_SHARED = (
    *("store", "cache", "schemas", "members", "wheels", "lock.json", "source"),
    *("bundle.json", "bundle-signers", "pushed-images.json"),
)
# This command and the folder `product`, from which it may run just now, stay until the user who
# installed them removes them.
_COMMAND = "sopslab"
# What goes last of a lab, in this order. The log says what could not be removed.
_LAST = ("log", "lock", "lease.json")


def purge_own(lab: Lab) -> None:
    """Remove a lab, except what the labs of its root share.

    Until all else is gone, its lock keeps other runs out, and its lease has the next `reap` go on
    where this one was stopped.
    """
    files.remove(lab.restoring_dir)
    # Renamed first: half a repository would pass for one that was lost. `up` sweeps up this name.
    doomed = Path(lab.git_dir, ".new.repositories")
    files.remove(doomed)
    files.archive(Path(lab.git_dir, "repositories"), doomed)
    folder = Path(lab.lab_dir)
    for path in files.entries(folder):
        if path.name not in _LAST:
            files.remove(path)
    for name in _LAST:
        files.remove(folder / name)
    files.remove(folder)


def purge(lab: Lab) -> None:
    """Remove a lab; with the last lab of a root, also remove what the labs of this root share,
    unless machines of a room are just given that."""
    # Each deploy imports this module, and the one that packs takes longer.
    from sopslab.lab.store.members import unused

    root = Path(lab.root)
    purge_own(lab)
    try:
        (root / "labs").rmdir()
    except OSError:
        return
    with ExitStack() as held:
        if (root / "cache").is_dir():
            held.enter_context(turn(lab, BUILDS))
            # If another process is still removing the caches, this waits for it.
            held.enter_context(removal(lab))
        if not held.enter_context(unused(lab)):
            log(b"the store stays, because another run is delivering it\n")
            return
        for name in _SHARED:
            files.remove_all(root / name)
        for link in (root / "bin").glob("*"):
            if link.name != _COMMAND:
                files.remove(link)
    for folder in (root / "bin", root / "sysctl", root):
        with suppress(OSError):
            folder.rmdir()
    # Docker keeps an image that a container uses, such as that of a lab on another root. Any other
    # root makes its images again from its store.
    with suppress(Failed):
        names = "{{.Repository}}:{{.Tag}}"
        listed = docker("image", "ls", "--filter", "reference=sops-lab/*", "--format", names)
        if listed:
            docker("image", "rm", *listed.split(), patience=300)
