"""Read, applied, there: what Flux reports, in its own words, and what is said of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopslab.checks.verification.delivery import (
    Live,
    Source,
    judge_applied,
    judge_secret,
    judge_source,
)
from sopslab.course.chapter import Chapter
from sopslab.model.results import Status
from tests.unit.verification.verification_material import HEAD

OLD = "0" * 40
OWNER = {
    "kustomize.toolkit.fluxcd.io/name": "secrets-develop",
    "kustomize.toolkit.fluxcd.io/namespace": "flux-system",
}
Change = Callable[[dict[str, Any]], object]


def _ready(status: str, message: str = "", reason: str = "") -> Change:
    def change(one: dict[str, Any]) -> None:
        one["status"]["conditions"] = [
            {"type": "Ready", "status": status, "message": message, "reason": reason}
        ]

    return change


def _status(**fields: object) -> Change:
    return lambda one: one["status"].update(fields)


def test_a_source_at_head_is_well(repository: dict[str, Any], chapter: Chapter) -> None:
    for stored in (True, None):
        verdict = judge_source(Source(repository, stored), HEAD, chapter)
        assert (verdict.status, HEAD[:7] in verdict.found) == (Status.OK, True)


@pytest.mark.parametrize(
    ("change", "found", "next_step"),
    [
        (_status(artifact={"revision": f"main@sha1:{OLD}"}), "0000000 of main", "--wait 60"),
        (_status(artifact={"revision": f"other@sha1:{HEAD}"}), "of other", "--wait 60"),
        (_status(artifact=None), "it has read nothing yet", "--wait 60"),
        (_status(observedGeneration=0), "present form", "--wait 60"),
        (_ready("Unknown"), "is reading the repository at the moment", "--wait 60"),
        (lambda one: one.pop("status"), "not yet looked", "--wait 60"),
        (
            _ready(
                "False",
                "failed to checkout and determine revision: unable to list remote for 'http://git':"
                " dial tcp: lookup lab-git: no such host",
                "GitOperationFailed",
            ),
            "stale source: the Git server does not answer Flux, and what it last read is 13901ba",
            "sopslab up",
        ),
        (
            _ready("False", "unable to list remote: authentication required: Unauthorized"),
            "refuses Flux's credentials",
            "sopslab up",
        ),
        (
            _ready("False", 'couldn\'t find remote ref "refs/heads/main"'),
            "the branch main is not on the Git server",
            "git push origin HEAD:main",
        ),
        (_ready("False", "never seen before", "Odd"), "cannot read the repository (Odd)", "get"),
    ],
)
def test_a_source_that_is_behind_or_stale_is_not_ok(
    change: Change, found: str, next_step: str, repository: dict[str, Any], chapter: Chapter
) -> None:
    change(repository)
    verdict = judge_source(Source(repository, True), HEAD, chapter)

    assert verdict.status is Status.FAILED
    assert found in verdict.found
    assert next_step in verdict.next_step


def test_ready_is_no_proof_that_the_artifact_is_stored(
    repository: dict[str, Any], chapter: Chapter
) -> None:
    verdict = judge_source(Source(repository, False), HEAD, chapter)

    assert verdict.status is Status.FAILED
    assert "does not have it" in verdict.found
    assert "reconcile source git learner" in verdict.next_step


def test_an_applied_head_is_well(kustomization: dict[str, Any], chapter: Chapter) -> None:
    assert judge_applied(kustomization, HEAD, chapter).status is Status.OK


@pytest.mark.parametrize(
    ("change", "found", "next_step"),
    [
        (_status(lastAppliedRevision=f"main@sha1:{OLD}"), "0000000 of main", "--wait 60"),
        (_status(lastAppliedRevision=None), "not applied", "--wait 60"),
        (_status(observedGeneration=0), "present form", "--wait 60"),
        (_ready("Unknown", "Reconciliation in progress", "Progressing"), "at work", "--wait 60"),
        (_status(inventory={"entries": []}), "was not in it", "sopslab validate"),
        (_ready("False", "never seen before", "Odd"), "(Odd)", "describe kustomization"),
    ],
)
def test_ready_is_no_proof_that_head_is_applied(
    change: Change, found: str, next_step: str, kustomization: dict[str, Any], chapter: Chapter
) -> None:
    change(kustomization)
    verdict = judge_applied(kustomization, HEAD, chapter)

    assert verdict.status is Status.FAILED
    assert found in verdict.found
    assert next_step in verdict.next_step


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
            "not one of those that the file is encrypted to",
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
def test_a_failure_of_flux_is_told_by_its_cause(
    message: str, found: str, next_step: str, kustomization: dict[str, Any], chapter: Chapter
) -> None:
    _ready("False", message, "BuildFailed")(kustomization)
    verdict = judge_applied(kustomization, HEAD, chapter)

    assert verdict.status is Status.FAILED
    assert found in verdict.found
    assert next_step in verdict.next_step


@given(
    value=st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=12, max_size=40).map(
        lambda text: f"v@{text}"
    ),
    before=st.sampled_from(
        ["failed to create typed patch object: .data.a: expected string, got ", "", "is forbidden "]
    ),
)
def test_what_flux_quotes_is_not_repeated(value: str, before: str) -> None:
    chapter = Chapter("backend-secrets", "learner")
    found = {
        "metadata": {"generation": 1},
        "status": {
            "conditions": [
                {"type": "Ready", "status": "False", "message": before + value, "reason": "Odd"}
            ]
        },
    }
    for verdict in (
        judge_applied(found, HEAD, chapter),
        judge_source(Source(found), HEAD, chapter),
    ):
        assert value not in verdict.found + verdict.next_step


@pytest.mark.parametrize(
    ("live", "found"),
    [
        (None, "does not exist"),
        (Live({}, {"a": "1", "b": "2"}), "was not made by Flux"),
        (Live(OWNER, {"a": "1"}), "lacks b of the file"),
        (Live(OWNER, {"a": "1", "b": "2", "c": "3"}), "has c, which the file does not have"),
        (Live(OWNER, {"a": "1", "b": "3"}), "has another value for b than the file"),
        (Live(OWNER, {"a": "1", "b": "2", "x y": ""}), "has …, which"),
    ],
)
def test_another_secret_than_the_file_is_not_ok(
    live: Live | None, found: str, chapter: Chapter
) -> None:
    verdict = judge_secret(live, {"a": "1", "b": "2"}, chapter)

    assert verdict.status is Status.FAILED
    assert found in verdict.found
    assert "reconcile kustomization secrets-develop" in verdict.next_step


def test_the_same_content_by_hash_is_well(chapter: Chapter) -> None:
    verdict = judge_secret(Live(OWNER, {"a": "1", "b": "2"}), {"b": "2", "a": "1"}, chapter)

    assert verdict.status is Status.OK
    assert "2 keys" in verdict.found
