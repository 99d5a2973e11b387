"""What `status` says of Flux's objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.lab import parts
from tests.unit.doctor.doctor_material import HEAD, edited, healthy

DELETED = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


@pytest.mark.parametrize(
    ("edit", "up", "state"),
    [
        (lambda one: None, True, f"ready, at {HEAD[:7]} of main"),
        (lambda one: one["spec"].update(suspend=True), False, "suspended"),
        # Ready stays as it was until the object is gone.
        (lambda one: one["metadata"].update(DELETED), False, "being deleted"),
    ],
    ids=["ready", "suspended", "deleted"],
)
def test_an_object_is_up_only_as_it_is_now(
    lab: Callable[..., Settings],
    monkeypatch: pytest.MonkeyPatch,
    edit: Callable[[Any], object],
    up: bool,
    state: str,
) -> None:
    seen = edited("kustomizations", "secrets-develop", edit)(healthy())
    monkeypatch.setattr(parts, "look_in", lambda *_: seen)
    (part,) = [one for one in parts.flux_parts(lab()) if "secrets-develop" in one.where]
    assert (part.name, part.up, part.state) == ("kustomization", up, state)
