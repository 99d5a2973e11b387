"""Which of Flux's objects are suspended, and by which verb; none if the cluster does not answer."""

from __future__ import annotations

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.environments import own_kustomizations
from sopslab.lab.observe.objects import listed
from sopslab.layout import GIT_REPOSITORIES, KUSTOMIZATIONS
from sopslab.model.objects import is_suspended
from sopslab.model.suspension import ROTATE, Suspended, suspended_by

_PATIENCE_S = 20


def suspended_objects(lab: Lab) -> list[Suspended]:
    """Return the suspended sources and Kustomizations of the cluster."""
    found = listed(lab, f"{GIT_REPOSITORIES},{KUSTOMIZATIONS}", patience=_PATIENCE_S)
    return [
        Suspended(
            one["kind"], one["metadata"]["namespace"], one["metadata"]["name"], suspended_by(one)
        )
        for one in found
        if is_suspended(one)
    ]


def left_by_a_rotation(lab: Lab, environments: list[Environment]) -> bool:
    """Return whether a killed rotation has left the Kustomization of one of the environments
    suspended."""
    found = own_kustomizations(lab, environments).values()
    return any(suspended_by(one) == ROTATE for one in found)
