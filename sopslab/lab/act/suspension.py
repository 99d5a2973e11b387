"""Tell Flux to leave things alone, and to look at them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.lab.observe.environments import own_kustomizations
from sopslab.lab.tools.kubectl import FLUX, Kubectl
from sopslab.model.objects import Object, is_suspended, reference
from sopslab.model.suspension import ROTATE, SUSPENDED_BY, Suspended, suspended_by


def look_away(lab: Lab, environments: list[Environment]) -> None:
    """Suspend environments' Kustomizations, so that Flux begins nothing for them; what a person has
    suspended is left alone.

    Flux is told of a changed Secret twice: with its old content, and with its new content. Where
    Flux cancels health checks, the second message interrupts what the first has begun, and Flux is
    not ready for a moment.
    """
    found = own_kustomizations(lab, environments).values()
    awake = [one for one in found if not is_suspended(one)]
    _patch(lab, awake, {"spec": {"suspend": True}, **_marked(ROTATE)})


def look_again(lab: Lab, environments: list[Environment]) -> None:
    """Resume what `look_away` has suspended; what a person has suspended stays suspended."""
    found = own_kustomizations(lab, environments).values()
    ours = [one for one in found if suspended_by(one) == ROTATE]
    _patch(lab, ours, {"spec": {"suspend": None}, **_marked(None)})


def resume(lab: Lab, suspended: list[Suspended]) -> None:
    """Resume objects of Flux."""
    objects = [reference(one.kind, one.namespace, one.name) for one in suspended]
    _patch(lab, objects, {"spec": {"suspend": None}})


def _marked(verb: str | None) -> dict[str, Any]:
    return {"metadata": {"annotations": {SUSPENDED_BY: verb}}}


def _patch(lab: Lab, objects: Sequence[Object], patch: dict[str, Any]) -> None:
    Kubectl(lab).patch_all(objects, patch, manager=FLUX)
