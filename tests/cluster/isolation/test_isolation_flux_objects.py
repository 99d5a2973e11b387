"""The API server itself judges a seat's Flux objects, whoever sends them; tested by dry runs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.cluster.isolation.hostile import Hostile
from tests.refused_objects import KUSTOMIZATIONS, sources

pytestmark = pytest.mark.every_provider

# The account that writes these objects in a lab: it has all rights, and applies what learners push.
CONTROLLER = "--as=system:serviceaccount:flux-system:kustomize-controller"


def said_of(learner: Hostile, kind: str, name: str, spec: dict[str, Any]) -> str:
    """Return why the API server refuses a change by Flux; empty if it would accept the change."""
    changes = [
        {"op": "remove" if value is None else "add", "path": f"/spec/{field}", "value": value}
        for field, value in spec.items()
    ]
    done = learner.lab.run(
        "kubectl", CONTROLLER, "-n", learner.system, "patch", kind, name, "--type=json",
        "--dry-run=server", f"--patch={json.dumps(changes)}", check=False,
    )  # fmt: skip
    return done.stderr if done.returncode else ""


def test_a_kustomization_that_would_do_more_is_refused(ada: Hostile) -> None:
    assert not said_of(ada, "kustomization", "secrets-develop", {"interval": "3m0s"})
    answers = [
        (spec, field, said_of(ada, "kustomization", "secrets-develop", spec))
        for spec, field in KUSTOMIZATIONS
    ]
    assert [
        (spec, said)
        for spec, field, said in answers
        if not ("sops-lab-kustomizations" in said and field in said)
    ] == []


def test_a_source_that_leads_elsewhere_is_refused(ada: Hostile) -> None:
    assert not said_of(ada, "gitrepository", "lab", {"interval": "3m0s"})
    changes = sources(ada.lab.settings.git_base_cluster_url)
    answers = [(spec, said_of(ada, "gitrepository", "lab", spec)) for spec in changes]
    assert [(spec, said) for spec, said in answers if "sops-lab-sources" not in said] == []
