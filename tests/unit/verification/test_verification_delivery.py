"""Read, applied, there: what Flux reports in its own words, and the verdict on it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopslab.checks.exercise import applied, read
from sopslab.checks.rules.table import Step
from sopslab.model.results import Status, Verdict
from tests.unit.doctor.doctor_material import (
    HEAD,
    Change,
    edited,
    facets,
    healthy,
    live,
    not_applied,
    not_read,
)
from tests.unit.verification.verification_material import verdict

OLD = "0" * 40
Edit = Callable[[dict[str, Any]], object]


def _ready(status: str, message: str = "", reason: str = "") -> Edit:
    def edit(one: dict[str, Any]) -> None:
        one["status"]["conditions"] = [
            {"type": "Ready", "status": status, "message": message, "reason": reason}
        ]

    return edit


def _status(**fields: object) -> Edit:
    return lambda one: one["status"].update(fields)


def _source(edit: Edit) -> Verdict:
    return verdict(Step.SOURCE, edited("sources", "learner", edit)(healthy()))


def _kustomization(edit: Edit) -> Verdict:
    return verdict(Step.APPLIED, edited("kustomizations", "secrets-develop", edit)(healthy()))


def test_a_source_at_head_is_well() -> None:
    found = verdict(Step.SOURCE, healthy())
    assert (found.status, HEAD[:7] in found.found) == (Status.OK, True)


@pytest.mark.parametrize(
    ("edit", "found", "next_step"),
    [
        (_status(artifact={"revision": f"main@sha1:{OLD}"}), "0000000 of main", "--wait 60"),
        (_status(artifact={"revision": f"other@sha1:{HEAD}"}), "of other", "--wait 60"),
        (_status(artifact=None), "it has read nothing yet", "--wait 60"),
        (_status(observedGeneration=0), "present form", "--wait 60"),
        (_ready("Unknown"), "is reading the repository at the moment", "--wait 60"),
        (lambda one: one.pop("status"), "not yet looked", "--wait 60"),
        (_ready("False", "never seen before", "Odd"), "cannot read the repository (Odd)", "get"),
    ],
)
def test_a_source_that_is_behind_is_not_ok(edit: Edit, found: str, next_step: str) -> None:
    told = _source(edit)

    assert told.status is Status.FAILED
    assert found in told.found
    assert next_step in told.next_step


@pytest.mark.parametrize(
    ("message", "found", "next_step"),
    [
        (
            "failed to checkout and determine revision: unable to list remote for 'http://git':"
            " dial tcp: lookup lab-git: no such host",
            "stale source: the Git server does not answer Flux, and what it last read is 13901ba",
            "sopslab up",
        ),
        (
            "unable to list remote: authentication required: Unauthorized",
            "refuses Flux's credentials",
            "sopslab up",
        ),
        (
            'couldn\'t find remote ref "refs/heads/main"',
            "the branch main is not on the Git server",
            "git push origin HEAD:main",
        ),
    ],
)
def test_a_stale_source_is_told_by_its_cause(message: str, found: str, next_step: str) -> None:
    told = read(not_read(message)(healthy()))

    assert told is not None
    assert found in told.found
    assert next_step in told.next_step


def test_a_source_that_failed_on_what_is_in_order_by_now_is_not_ok() -> None:
    told = verdict(Step.SOURCE, not_read("authentication required")(healthy()))

    assert told.status is Status.FAILED
    assert "in order by now" in told.found


def test_ready_is_no_proof_that_the_artifact_is_stored() -> None:
    told = verdict(Step.SOURCE, facets(stored=False)(healthy()))

    assert told.status is Status.FAILED
    assert "has lost it" in told.found
    assert "reconcile source git learner" in told.next_step


def test_an_applied_head_is_well() -> None:
    assert verdict(Step.APPLIED, healthy()).status is Status.OK


@pytest.mark.parametrize(
    ("edit", "found", "next_step"),
    [
        (_status(lastAppliedRevision=f"main@sha1:{OLD}"), "0000000 of main", "--wait 60"),
        (_status(lastAppliedRevision=None), "not applied", "--wait 60"),
        (_status(observedGeneration=0), "present form", "--wait 60"),
        (_ready("Unknown", "Reconciliation in progress", "Progressing"), "at work", "--wait 60"),
        (_status(inventory={"entries": []}), "was not in it", "sopslab validate"),
        (_ready("False", "never seen before", "Odd"), "(Odd)", "describe kustomization"),
    ],
)
def test_ready_is_no_proof_that_head_is_applied(edit: Edit, found: str, next_step: str) -> None:
    told = _kustomization(edit)

    assert told.status is Status.FAILED
    assert found in told.found
    assert next_step in told.next_step


# The texts are those that the real controllers gave (facts on Flux and SOPS, 1.2 and 1.3).
@pytest.mark.parametrize(
    ("message", "found", "next_step"),
    [
        ('secrets "sops-age" not found', "finds no Secret sops-age", "--create-secret"),
        (
            "failed to import 'age.agekey' data from sops decryption Secret 'flux-system/sops-age':"
            " failed to parse and add to age identities: malformed secret key: invalid checksum",
            "is damaged",
            "--create-secret",
        ),
        (
            "cannot get sops data key: Failed to get the data key required to decrypt the SOPS"
            " file. Group 0: FAILED age1x: FAILED - | failed to create reader for decrypting sops"
            " data key with age: identity did not match any of the recipients: incorrect identity"
            " for recipient block",
            "the file is not encrypted to the key in sops-age",
            "sops-setup.sh --check",
        ),
        (
            "cannot get sops data key: Failed to get the data key. Group 0: FAILED age1x: FAILED"
            " - | failed to load age identities: Did not find keys in locations"
            " 'SOPS_AGE_SSH_PRIVATE_KEY_FILE', 'SOPS_AGE_KEY'",
            "no entry that ends in .agekey",
            "--create-secret",
        ),
        (
            "Error getting data key: 0 successful groups required, got 0",
            "opens the file",
            "--check",
        ),
        (
            "error decrypting sops tree: Error walking tree: Could not decrypt value: Input string"
            " <redacted> does not match sops' data format",
            "a value in it is plain text",
            "--force",
        ),
        (
            "error decrypting sops tree: Error walking tree: Could not decrypt value: cipher:"
            " message authentication failed",
            "was changed after it was encrypted",
            "--force",
        ),
        (
            "Secret/develop/backend-secrets is SOPS encrypted, configuring decryption is required"
            " for this secret to be reconciled",
            "lost its MAC",
            "--force",
        ),
        (
            "ConfigMap/develop/a dry-run failed: .sops: field not declared in schema",
            "no spec",
            "up",
        ),
        ("cannot decrypt file with size 6MB exceeding limit 5MB", "5 MiB", "validate"),
        (
            'Secret/develop/a dry-run failed: Secret in version "v1" cannot be handled as a'
            " Secret: illegal base64 data at input byte 3",
            "the mask of flux build",
            "--force",
        ),
        ("kustomization path not found: stat /tmp/x: no such file", "the folder", "validate"),
        (
            "kustomize build failed: accumulating resources: accumulation err='accumulating"
            " resources from 'backend-secrets.yaml': open /x: no such file or directory'",
            "lists something that is not there",
            "validate",
        ),
        (
            'secrets "a" is forbidden: User "system:serviceaccount:flux-system:secrets-develop"'
            ' cannot patch resource "secrets" in API group "" in the namespace "default"',
            "what Flux may apply here",
            "validate",
        ),
        (
            'Secret/dev/a namespace not specified: namespaces "dev" not found',
            "namespace",
            "validate",
        ),
        ("Source artifact not found, retrying in 1s", "nothing to apply yet", "reconcile"),
        ("failed to download artifact: connection refused", "cannot fetch", "reconcile"),
        ("timeout waiting for: [Deployment/develop/x status: 'InProgress']", "in time", "describe"),
        ("can't access 'GitRepository/other/x', cross-namespace references", "locked down", "up"),
    ],
)
def test_a_failure_of_flux_is_told_by_its_cause(message: str, found: str, next_step: str) -> None:
    told = applied(not_applied(message)(healthy()))

    assert told is not None
    assert found in told.found
    assert next_step in told.next_step


@given(
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40).map(
        lambda text: f"v@{text}"
    ),
    before=st.sampled_from(
        ["failed to create typed patch object: .data.a: expected string, got ", "", "is forbidden "]
    ),
)
def test_what_flux_quotes_is_not_repeated(value: str, before: str) -> None:
    for told in (
        verdict(Step.APPLIED, not_applied(before + value, "Odd")(healthy())),
        verdict(Step.SOURCE, not_read(before + value)(healthy())),
    ):
        assert value not in told.found + told.next_step


def _live(**changes: Any) -> Change:
    secret = live("backend-secrets", **changes)
    return facets(live={"lab-canary": live("lab-canary"), "backend-secrets": secret})


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (facets(live={"lab-canary": live("lab-canary")}), "does not exist"),
        (_live(owner=""), "was not made by Flux"),
        (_live(keys=frozenset()), "differs from what Flux has applied in A"),
        (_live(keys=frozenset("AB")), "in B"),
        (_live(keys=frozenset({"A", "x y"})), "in …"),
        (_live(value="other"), "differs from what Flux has applied in A"),
    ],
)
def test_another_secret_than_the_file_is_not_ok(change: Change, found: str) -> None:
    told = verdict(Step.SECRET, change(healthy()))

    assert told.status is Status.FAILED
    assert found in told.found
    assert "reconcile kustomization secrets-develop" in told.next_step


def test_the_same_content_by_hash_is_well() -> None:
    told = verdict(Step.SECRET, healthy())

    assert told.status is Status.OK
    assert "1 key," in told.found
