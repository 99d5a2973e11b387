"""What the tests of the verification share: recorded objects of a lab that is well."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.verification.cluster import Flux
from sopslab.course.chapter import Chapter
from tests.unit.verification.verification_material import HEAD


@pytest.fixture
def chapter() -> Chapter:
    """Return the chapter of a learner who is in the clone."""
    return Chapter("backend-secrets", "learner")


@pytest.fixture
def recorded() -> Callable[[str], Any]:
    """Return a recorded file; every call gives a copy that may be changed."""
    folder = Path(__file__).parent / "recorded"
    return lambda name: json.loads((folder / f"{name}.json").read_text())


@pytest.fixture
def flux(recorded: Callable[[str], Any]) -> Callable[..., Flux]:
    """Return Flux as recorded, with a change: kind, name, and what is done to that object."""

    def build(
        kind: str = "", name: str = "", change: Callable[[dict[str, Any]], object] | None = None
    ) -> Flux:
        found = {
            "deployments": recorded("deployments"),
            "repositories": recorded("gitrepositories"),
            "kustomizations": recorded("kustomizations"),
            "receivers": recorded("receivers"),
        }
        if change is not None:
            (one,) = [each for each in found[kind] if each["metadata"]["name"] == name]
            change(one)
        return Flux(**copy.deepcopy(found))

    return build


@pytest.fixture
def repository(recorded: Callable[[str], Any]) -> dict[str, Any]:
    """Return the learner's GitRepository, at HEAD."""
    (found,) = [one for one in recorded("gitrepositories") if one["metadata"]["name"] == "learner"]
    found["status"]["artifact"]["revision"] = f"main@sha1:{HEAD}"
    return dict(found)


@pytest.fixture
def kustomization(recorded: Callable[[str], Any]) -> dict[str, Any]:
    """Return the Kustomization of the environment, at HEAD."""
    (found,) = [
        one for one in recorded("kustomizations") if one["metadata"]["name"] == "secrets-develop"
    ]
    found["status"]["lastAppliedRevision"] = f"main@sha1:{HEAD}"
    return dict(found)
