"""The command of Flux."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.config.places import Places
from sopslab.lab.tools.programs import lab_environment, run

# What a lab has of Flux.
CONTROLLERS = ("source-controller", "kustomize-controller", "notification-controller")


def manifests(places: Places, components: Sequence[str] = ()) -> bytes:
    """Return the manifests of Flux, with only the named controllers, or with the usual ones if none
    are named. Raises Failed."""
    only = [f"--components={','.join(components)}"] if components else []
    return run(["flux", "install", "--export", *only], lab_environment(places))


def uninstall(places: Places) -> None:
    """Remove Flux from the lab's cluster, except its namespace, which may be gone already. Raises
    Failed."""
    command = ["flux", "uninstall", "--silent", "--keep-namespace", "--context", places.lab_context]
    run(command, lab_environment(places), patience=180)
