"""Which of Flux's objects are suspended, and by which verb."""

from __future__ import annotations

from collections.abc import Iterable

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.environments import own_kustomizations
from sopslab.model.objects import Object, is_suspended
from sopslab.model.suspension import ROTATE, Suspended, suspended_by


def suspended_among(found: Iterable[Object]) -> list[Suspended]:
    """Return the suspended ones of some sources and Kustomizations."""
    return [
        Suspended(
            one["kind"], one["metadata"]["namespace"], one["metadata"]["name"], suspended_by(one)
        )
        for one in found
        if is_suspended(one)
    ]


def left_by_a_rotation(lab: Lab, environments: list[Environment]) -> bool:
    """Return whether a killed rotation has left the Kustomization of one of the environments
    suspended. False if the cluster does not answer."""
    found = own_kustomizations(lab, environments).values()
    return any(suspended_by(one) == ROTATE for one in found)
