"""What is said of a seat: every state of it, one change from a seat whose learner is done."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sopslab.checks.board.judge import judge
from sopslab.checks.board.seen import Repository, Seen
from sopslab.checks.board.steps import STEPS, Progress
from sopslab.checks.verification.cluster import ClusterKey, Entry, Identity, Rule
from sopslab.checks.verification.repository import SecretFile
from sopslab.lab import verification as checks
from sopslab.lab.board.cluster import holder
from sopslab.policy.findings import Finding, Report
from tests.unit.board import board_material as material
from tests.unit.board.board_material import (
    ADA,
    CLUSTER,
    DONE,
    FILE,
    HEAD,
    KUSTOMIZATION,
    LIVE,
    OWN,
    SOURCE,
    TENANT,
    flux_object,
    not_ready,
    suspended,
    with_cluster,
    with_repository,
    with_tree,
)

PATH = "flux/secrets/develop/backend-secrets.yaml"
OLD = "b" * 40
BEHIND = f"main@sha1:{OLD}"
OUTSIDE = f"main@sha1:{material.START}"


def _at(found: dict[str, object], **status: object) -> dict[str, object]:
    return {**found, "status": {**found["status"], **status}}  # type: ignore[dict-item]


def test_a_learner_who_is_done_has_nothing_left_to_do() -> None:
    row = judge(ADA, DONE)

    assert [step.id for step in row.steps] == list(STEPS)
    assert {step.progress for step in row.steps} == {Progress.YES}
    assert (row.done, row.stuck, row.broken, row.next, row.fix) == (True, False, False, "", "")


def test_a_seat_on_its_first_day_is_whole_and_waits_for_the_learner() -> None:
    row = judge(ADA, material.fresh())

    assert {step.id: step.progress.value for step in row.steps} == {
        "access": "yes",
        "key": "yes",
        "pushed": "no",
        "encrypted": "no",
        "wired": "no",
        "source": "yes",
        "applied": "no",
        "secret": "no",
    }
    assert (row.done, row.stuck, row.broken) == (False, False, False)
    assert row.next == "nothing is pushed yet: main is where it began."


def test_a_step_that_verify_has_too_has_the_same_name() -> None:
    known = {check.id for check in checks.checks(embedded_server=True)}

    assert set(STEPS) - known == {"access"}


# What the lab owes the learner: it makes `status` fail.
BROKEN = [
    (replace(DONE, kubeconfig=False), "access", "no kubeconfig", "sopslab up"),
    (replace(DONE, password=False), "access", "no password", "sopslab up"),
    (
        replace(DONE, repository=Repository(there=False)),
        "access",
        "no repository ada/lab",
        "sopslab up",
    ),
    (
        with_cluster(namespaces={"lab-ada-sys": "Active"}),
        "access",
        "the namespace ada-develop does not exist",
        "sopslab up",
    ),
    (
        with_cluster(namespaces={**CLUSTER.namespaces, "ada-develop": "Terminating"}),
        "access",
        "the namespace ada-develop is being deleted",
        "kubectl describe namespace ada-develop",
    ),
    (with_cluster(tenant=None), "access", "no Kustomization for the seat", "sopslab up"),
    (
        with_cluster(tenant=suspended(TENANT)),
        "access",
        "Kustomization tenant-ada is suspended",
        "flux --namespace flux-system resume kustomization tenant-ada",
    ),
    (
        with_cluster(tenant=not_ready(TENANT, "Secret/x: hunter2 is forbidden")),
        "access",
        "Flux could not apply the seat (BuildFailed)",
        "kubectl -n flux-system describe kustomization tenant-ada",
    ),
    (
        with_cluster(key=ClusterKey(False)),
        "key",
        "no Secret sops-age in lab-ada-sys",
        "sopslab up",
    ),
    (
        with_cluster(key=ClusterKey(True, {"age.agekey": frozenset({"age1other"})})),
        "key",
        f"the cluster's key is age1other, but files are encrypted to {OWN}",
        "sopslab up",
    ),
    (
        with_cluster(key=ClusterKey(True, {"age.agekey": Entry.INVALID})),
        "key",
        "holds no valid age identity",
        "sopslab up",
    ),
    (
        replace(DONE, identity=Identity(problem="x is age1a, but it was age1b", fix="mend it")),
        "key",
        "the key file x is age1a, but it was age1b",
        "mend it",
    ),
    (
        with_tree(rule=Rule(True, frozenset({OWN}))),
        "key",
        "leaves out the instructor",
        "git checkout",
    ),
    (with_cluster(source=None), "source", "Flux has no GitRepository lab", "sopslab up"),
    (
        with_cluster(source=suspended(SOURCE)),
        "source",
        "GitRepository lab is suspended",
        "flux --namespace lab-ada-sys resume source git lab",
    ),
    (
        with_cluster(source=not_ready(SOURCE, "authentication required: hunter2")),
        "source",
        "stale source: the Git server refuses Flux's credentials",
        "sopslab up",
    ),
]

# What keeps the learner from going on, and is not the lab's fault.
STUCK = [
    (
        with_repository(head=None, tree=None),
        "pushed",
        "the Git server has no branch main",
        "git push origin HEAD:main",
    ),
    (
        with_tree(
            file=SecretFile(report=Report([Finding(PATH, 7, "secret-plaintext", "a is plain", "")]))
        ),
        "encrypted",
        f"{PATH}, line 7: a is plain. [secret-plaintext]",
        "scripts/sops-encrypt-secret.sh develop backend-secrets --force",
    ),
    (
        with_tree(others=Report([Finding("flux/secrets/x.yaml", 2, "key-age", "a key", "")])),
        "encrypted",
        "flux/secrets/x.yaml, line 2: a key. [key-age]",
        "sopslab policy history",
    ),
    (
        with_tree(file=replace(FILE, namespace="bob-develop")),
        "encrypted",
        "does not name the namespace ada-develop",
        "--force",
    ),
    (
        with_cluster(kustomization=suspended(KUSTOMIZATION)),
        "applied",
        "Kustomization secrets-develop is suspended",
        "flux --namespace lab-ada-sys resume kustomization secrets-develop",
    ),
    (
        with_cluster(kustomization=None),
        "applied",
        "Flux has no Kustomization secrets-develop",
        "sopslab up",
    ),
    (
        with_cluster(
            kustomization=not_ready(
                KUSTOMIZATION, "error decrypting sops tree: hunter2\nand more", "BuildFailed"
            )
        ),
        "applied",
        "the file was changed after it was encrypted",
        "--force",
    ),
    (
        with_cluster(kustomization=not_ready(KUSTOMIZATION, 'Secret "x" is forbidden: hunter2')),
        "applied",
        "Secrets and ConfigMaps in ada-develop",
        "sopslab validate",
    ),
    (
        with_cluster(kustomization=not_ready(KUSTOMIZATION, "hunter2", "OddFailure")),
        "applied",
        "Flux could not apply the repository (OddFailure)",
        "kubectl -n lab-ada-sys describe kustomization secrets-develop",
    ),
    (
        with_cluster(live=replace(LIVE, labels={})),
        "secret",
        "the Secret backend-secrets in the namespace ada-develop was not made by Flux",
        "flux --namespace lab-ada-sys reconcile kustomization secrets-develop --with-source",
    ),
    (
        with_cluster(live=replace(LIVE, keys=frozenset())),
        "secret",
        "lacks password of the file",
        "reconcile",
    ),
    (
        with_cluster(live=replace(LIVE, keys=frozenset({"password", "more"}))),
        "secret",
        "has more, which the file does not have",
        "reconcile",
    ),
]

# What comes next, or only takes a moment.
OPEN = [
    (with_repository(head=HEAD, start=HEAD), "pushed", "nothing is pushed yet", "git push"),
    (
        replace(
            with_tree(file=SecretFile(there=False)),
            cluster=replace(CLUSTER, kustomization=_at(KUSTOMIZATION, inventory=None), live=None),
        ),
        "encrypted",
        "is not there yet",
        "scripts/sops-encrypt-secret.sh develop backend-secrets",
    ),
    (
        with_tree(kustomization="resources:\n  # - backend-secrets.yaml\n"),
        "wired",
        "uncomment line 2",
        "kustomization.yaml",
    ),
    (with_tree(kustomization=None), "wired", "kustomization.yaml is missing", "git checkout"),
    (
        with_cluster(source=_at(SOURCE, artifact={"revision": BEHIND})),
        "source",
        f"Flux has not read {HEAD[:7]} yet: what it last read is {OLD[:7]} of main",
        "flux --namespace lab-ada-sys reconcile",
    ),
    (
        with_cluster(kustomization=_at(KUSTOMIZATION, lastAppliedRevision=BEHIND)),
        "applied",
        f"Flux has not applied {HEAD[:7]} yet",
        "flux --namespace lab-ada-sys reconcile",
    ),
    (
        with_cluster(kustomization=_at(KUSTOMIZATION, observedGeneration=0)),
        "applied",
        "has not yet looked at the present form",
        "reconcile",
    ),
    (
        with_cluster(kustomization=_at(KUSTOMIZATION, inventory=None)),
        "applied",
        "was not in it",
        "sopslab validate",
    ),
    (
        with_cluster(live=None),
        "secret",
        "the Secret backend-secrets in the namespace ada-develop does not exist",
        "reconcile",
    ),
]


@pytest.mark.parametrize(
    ("seen", "step", "found", "fix", "stuck", "broken"),
    [
        *((*case, True, True) for case in BROKEN),
        *((*case, True, False) for case in STUCK),
        *((*case, False, False) for case in OPEN),
    ],
)
def test_what_is_in_the_way_is_named_with_what_helps(
    seen: Seen, step: str, found: str, fix: str, stuck: bool, broken: bool
) -> None:
    row = judge(ADA, seen)

    assert row.open is not None
    assert (row.open.id, row.open.progress) == (step, Progress.NO)
    assert found in row.next
    assert fix in row.fix
    assert (row.done, row.stuck, row.broken) == (False, stuck, broken)
    # A message of Flux may quote what it refuses.
    assert "hunter2" not in repr(row)
    assert "\n" not in row.next + row.fix


UNKNOWN = [
    (
        replace(DONE, cluster=None),
        {"access", "key", "source", "applied", "secret"},
        "the cluster could not be asked.",
    ),
    (
        with_repository(head=None, tree=None, problem="the repository cannot be read: x"),
        {"key", "pushed", "encrypted", "wired", "source", "applied", "secret"},
        "the repository cannot be read: x.",
    ),
    (with_repository(start=None), {"pushed"}, "with which commit the repository began"),
    (with_tree(unruled=".sops.yaml cannot be judged"), {"key"}, ".sops.yaml cannot be judged."),
    (
        with_tree(others=Report(undecided=["gitleaks is not installed"])),
        {"encrypted"},
        "main could not be judged: gitleaks is not installed.",
    ),
]


@pytest.mark.parametrize(("seen", "steps", "found"), UNKNOWN)
def test_what_cannot_be_seen_is_unknown_and_nobodys_fault(
    seen: Seen, steps: set[str], found: str
) -> None:
    row = judge(ADA, seen)

    assert {step.id for step in row.steps if step.progress is Progress.UNKNOWN} == steps
    assert {step.progress for step in row.steps if step.id not in steps} <= {Progress.YES}
    assert (row.done, row.stuck, row.broken) == (False, False, False)
    assert found in row.next


def test_a_secret_from_before_the_last_push_is_neither_right_nor_wrong() -> None:
    """Its keys may be those of the commit before."""
    seen = with_cluster(
        kustomization=_at(KUSTOMIZATION, lastAppliedRevision=BEHIND),
        live=replace(LIVE, keys=frozenset({"old"})),
    )
    row = judge(ADA, seen)

    assert {step.id: step.progress for step in row.steps}["secret"] is Progress.UNKNOWN
    assert not row.stuck


def test_what_is_broken_is_told_before_what_comes_next() -> None:
    seen = replace(
        material.fresh(), cluster=replace(CLUSTER, kustomization=suspended(KUSTOMIZATION))
    )

    assert "is suspended" in judge(ADA, seen).next


def test_what_a_terminal_would_obey_is_not_passed_on() -> None:
    seen = with_tree(others=Report([Finding("flux/secrets/\x1b[2J\n.yaml", 1, "x", "m", "")]))

    assert judge(ADA, seen).next == "flux/secrets/\\x1b[2J\\n.yaml, line 1: m. [x]"


def test_a_source_that_is_read_at_the_moment_is_no_failure() -> None:
    busy = flux_object("GitRepository", "lab-ada-sys", "lab", artifact={"revision": BEHIND})
    busy["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]

    assert not judge(ADA, with_cluster(source=busy)).stuck


BEGUN = "2026-11-28T10:00:00Z"


def _building(
    found: dict[str, object], since: str = BEGUN, reason: str = "Progressing"
) -> dict[str, object]:
    message = f"Building manifests for revision main@sha1:{OLD} with a timeout of 1m0s"
    told = {
        "type": "Reconciling",
        "reason": reason,
        "message": message,
        "lastTransitionTime": since,
    }
    ready = {"type": "Ready", "status": "Unknown", "message": "Reconciliation in progress"}
    return _at(found, conditions=[told, ready], lastAppliedRevision=OUTSIDE)


@pytest.mark.parametrize(
    ("whose", "found"),
    [("ada", "everybody waits for it"), ("bob", "held up by the build of bob")],
)
def test_whose_build_does_not_end_is_named_to_everybody(whose: str, found: str) -> None:
    row = judge(ADA, with_cluster(kustomization=_building(KUSTOMIZATION), holder=whose))

    applied = next(step for step in row.steps if step.id == "applied")
    assert found in applied.found
    assert applied.fix == f"sopslab reset {whose}"
    assert applied.stuck is (whose == "ada")


def test_who_does_not_wait_for_it_is_told_nothing() -> None:
    assert judge(ADA, with_cluster(holder="bob")).done


def test_the_oldest_build_that_is_no_ordinary_one_holds_up_the_others() -> None:
    now = datetime(2026, 11, 28, 10, 1, tzinfo=UTC)

    def seat(name: str, since: str, reason: str = "Progressing") -> dict[str, object]:
        found = _building(KUSTOMIZATION, since, reason)
        return {**found, "metadata": {"name": "x", "labels": {"sops-lab/seat": name}}}

    late, first = seat("bob", "2026-11-28T10:00:05Z"), seat("ada", BEGUN)
    assert holder([late, first, seat("eve", "2026-11-28T10:00:55Z")], now) == "ada"
    assert holder([seat("eve", "2026-11-28T10:00:55Z")], now) == ""
    assert holder([seat("ada", BEGUN, "ProgressingWithRetry")], now) == ""
    assert holder([{**KUSTOMIZATION, "metadata": {"labels": {"sops-lab/seat": "ada"}}}], now) == ""
