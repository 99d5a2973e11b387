"""A cluster that the lab did not make: which it is, and whether Flux there is the lab's."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.results import Undecided


def context_of(lab: Lab, kubeconfig: str) -> bytes:
    """Return the lab's context of a user's file, as a kubeconfig of its own. Raises Failed."""
    return Kubectl(lab).run(
        "--kubeconfig", kubeconfig, "config", "view", "--minify", "--flatten", "--raw"
    )


def has_context(lab: Lab, kubeconfig: str) -> bool:
    """Return whether the lab's own kubeconfig equals its context in a user's file, as that is now.

    + kubeconfig: the user's file
    """
    own = read(lab.lab_kubeconfig)
    try:
        return bool(own) and context_of(lab, kubeconfig) == own
    except Failed:
        return False


def has_flux(lab: Lab) -> bool:
    """Return whether the lab's cluster has the namespace of a Flux that this lab installed."""
    if not has_content(lab.lab_kubeconfig):
        return False
    try:
        return Kubectl(lab).get("namespace", FLUX_NAMESPACE, patience=20) is not None
    except Undecided:
        return False
