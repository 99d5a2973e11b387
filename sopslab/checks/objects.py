"""What an object in the cluster tells Flux to do, and what Flux reports about the object."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.checks import causes
from sopslab.checks.causes import Failure
from sopslab.checks.snapshot import Snapshot, known
from sopslab.model.objects import Object, condition

LEFT_ALONE = "kustomize.toolkit.fluxcd.io/reconcile"
"""Flux does not touch an object on which this annotation is `disabled`."""


def is_left_alone(found: Object) -> bool:
    """Return whether an object tells Flux not to touch it."""
    return (found["metadata"].get("annotations") or {}).get(LEFT_ALONE) == "disabled"


def named(found: Sequence[Object] | None, name: str) -> Object | None:
    """Return the first of these objects that has this name, None if there is none."""
    return next((one for one in found or () if one["metadata"]["name"] == name), None)


def source(seen: Snapshot) -> Object | None:
    """Return the source of the environment, None if it is gone."""
    return named(known(seen.sources), seen.environment.source)


def kustomization(seen: Snapshot) -> Object | None:
    """Return the Kustomization of the environment, None if it is gone."""
    return named(known(seen.kustomizations), seen.environment.kustomization)


def tenant(seen: Snapshot) -> Object | None:
    """Return the Kustomization that makes the environment, None if it is gone."""
    made = [one for one in known(seen.platform) if one["kind"] == "Kustomization"]
    return named(made, seen.environment.tenant)


def resume(found: Object) -> str:
    """Return the command that resumes a suspended object."""
    kind, named = found["kind"], found["metadata"]
    word = "source git" if kind == "GitRepository" else kind.lower()
    return f"flux --namespace {named['namespace']} resume {word} {named['name']}"


def failure(found: Object) -> Failure | None:
    """Return why Flux's last attempt with one of its objects failed, None if it did not."""
    return causes.failure(found["kind"], condition(found, "Ready"))
