"""The judgement of a seat: every state of it is one change away from a seat whose learner is
done."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from sopslab.checks.board.judge import judge
from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import STEPS, Progress
from sopslab.checks.rules.table import Step
from sopslab.checks.snapshot import (
    NO_MAIN,
    Access,
    Branches,
    ClusterKey,
    Entry,
    Identity,
    Rule,
    unseen,
)
from sopslab.lab.observe.everywhere import holder
from sopslab.model.results import Undecided
from sopslab.policy.findings import Finding, Report
from tests.unit.board import board_material as material
from tests.unit.board.board_material import (
    ADA,
    DONE,
    FILE,
    HEAD,
    KUSTOMIZATION,
    LIVE,
    NAMESPACES,
    OWN,
    SNAPSHOT,
    SOURCE,
    TENANT,
    flux_object,
    not_ready,
    suspended,
    with_facets,
    with_file,
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
    assert set(STEPS) - {step.value for step in Step} == {"access"}


# What the lab owes the learner: without it, `status` fails.
BROKEN = [
    (with_facets(access=Access(False, True)), "access", "no kubeconfig", "sopslab up"),
    (with_facets(access=Access(True, False)), "access", "no password", "sopslab up"),
    (
        with_facets(there=False, branches=Undecided("gone"), tree=Undecided("gone")),
        "access",
        "no repository ada/lab",
        "sopslab up",
    ),
    (
        with_facets(namespaces={"lab-ada-sys": "Active"}),
        "access",
        "namespace ada-develop does not exist",
        "sopslab up",
    ),
    (
        with_facets(namespaces={**NAMESPACES, "ada-develop": "Terminating"}),
        "access",
        "namespace ada-develop is being deleted",
        "sopslab reset ada",
    ),
    (
        with_facets(platform=[]),
        "access",
        "no Kustomization that makes the environment",
        "sopslab up",
    ),
    (
        with_facets(platform=[suspended(TENANT)]),
        "access",
        "Kustomization tenant-ada is suspended",
        "flux --namespace flux-system resume kustomization tenant-ada",
    ),
    (
        with_facets(platform=[not_ready(TENANT, "Secret/x: hunter2 is forbidden")]),
        "access",
        "is not ready: an object is not what Flux may apply here",
        "sopslab up",
    ),
    (
        with_facets(key=ClusterKey(False)),
        "key",
        "no Secret sops-age in lab-ada-sys",
        "sopslab up",
    ),
    (
        with_facets(key=ClusterKey(True, {"age.agekey": frozenset({"age1other"})})),
        "key",
        "has age1other",
        "sopslab up --key-from store",
    ),
    (
        with_facets(key=ClusterKey(True, {"age.agekey": Entry.INVALID})),
        "key",
        "holds no valid age identity",
        "sopslab up",
    ),
    (
        with_facets(identity=Identity(problem="x is age1a, but it was age1b", fix="mend it")),
        "key",
        "the key file: x is age1a, but it was age1b",
        "mend it",
    ),
    (
        with_tree(unruled="it is no YAML"),
        "key",
        ".sops.yaml is not valid",
        "git checkout",
    ),
    (
        with_tree(rule=Rule(True, frozenset({OWN}))),
        "key",
        "leaves out the instructor",
        "git checkout",
    ),
    (with_facets(sources=[]), "source", "Flux has no GitRepository lab", "sopslab up"),
    (
        with_facets(sources=[suspended(SOURCE)]),
        "source",
        "GitRepository lab is suspended",
        "flux --namespace lab-ada-sys resume source git lab",
    ),
    (
        with_facets(sources=[not_ready(SOURCE, "authentication required: hunter2")]),
        "source",
        "stale source: the Git server refuses Flux's credentials",
        "sopslab up",
    ),
]

# What keeps the learner from going on, and is not the lab's fault.
STUCK = [
    (
        with_facets(branches=Branches(), tree=Undecided(NO_MAIN)),
        "pushed",
        "The Git server has no branch main",
        "git push origin HEAD:main",
    ),
    (
        with_file(replace(FILE, recipients=None, plain=("data.a",))),
        "encrypted",
        f"{PATH} is not encrypted at all",
        "scripts/sops-encrypt-secret.sh develop backend-secrets --force",
    ),
    (
        with_tree(report=Report([Finding("flux/secrets/x.yaml", 2, "key-age", "a key", "")])),
        "encrypted",
        "flux/secrets/x.yaml: line 2: a key [key-age]",
        "sopslab policy history",
    ),
    (
        with_file(replace(FILE, namespace="bob-develop")),
        "encrypted",
        "the namespace ada-develop is meant",
        "--force",
    ),
    (with_tree(kustomization=None), "wired", "kustomization.yaml is missing", "git checkout"),
    (
        with_facets(kustomizations=[suspended(KUSTOMIZATION)]),
        "applied",
        "Kustomization secrets-develop is suspended",
        "flux --namespace lab-ada-sys resume kustomization secrets-develop",
    ),
    (
        with_facets(kustomizations=[]),
        "applied",
        "Flux has no Kustomization secrets-develop",
        "sopslab up",
    ),
    (
        with_facets(
            kustomizations=[
                not_ready(
                    KUSTOMIZATION, "error decrypting sops tree: hunter2\nand more", "BuildFailed"
                )
            ]
        ),
        "applied",
        "the file was changed after it was encrypted",
        "--force",
    ),
    (
        with_facets(kustomizations=[not_ready(KUSTOMIZATION, 'Secret "x" is forbidden: hunter2')]),
        "applied",
        "Secrets and ConfigMaps in ada-develop",
        "sopslab validate",
    ),
    (
        with_facets(kustomizations=[not_ready(KUSTOMIZATION, "hunter2", "OddFailure")]),
        "applied",
        "Flux could not apply the repository (OddFailure)",
        "kubectl -n lab-ada-sys describe kustomization secrets-develop",
    ),
    (
        with_facets(live={}),
        "secret",
        "The Secret backend-secrets does not exist",
        "reconcile",
    ),
    (
        with_facets(live={"backend-secrets": replace(LIVE, owner="")}),
        "secret",
        "The Secret backend-secrets was not made by Flux",
        "flux --namespace lab-ada-sys reconcile kustomization secrets-develop --with-source",
    ),
    (
        with_facets(live={"backend-secrets": replace(LIVE, keys=frozenset())}),
        "secret",
        "differs from what Flux has applied in password",
        "reconcile",
    ),
    (
        with_facets(live={"backend-secrets": replace(LIVE, keys=frozenset({"password", "more"}))}),
        "secret",
        "differs from what Flux has applied in more",
        "reconcile",
    ),
]

# What comes next, or only takes a moment.
OPEN = [
    (replace(DONE, start=HEAD), "pushed", "nothing is pushed yet", "git push"),
    (
        with_facets(
            tree=replace(
                material.TREE,
                files=frozenset({"lab-canary.yaml"}),
                manifests={},
                kustomization="resources: [lab-canary.yaml]",
            ),
            kustomizations=[_at(KUSTOMIZATION, inventory=None)],
            live={},
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
    (
        with_facets(sources=[_at(SOURCE, artifact={"revision": BEHIND})]),
        "source",
        f"Flux has not read {HEAD[:7]} yet: what it last read is {OLD[:7]} of main",
        "flux --namespace lab-ada-sys reconcile",
    ),
    (
        with_facets(kustomizations=[_at(KUSTOMIZATION, lastAppliedRevision=BEHIND)]),
        "applied",
        f"Flux has not applied {HEAD[:7]} yet",
        "flux --namespace lab-ada-sys reconcile",
    ),
    (
        with_facets(kustomizations=[_at(KUSTOMIZATION, observedGeneration=0)]),
        "applied",
        "has not yet looked at the present form",
        "reconcile",
    ),
    (
        with_facets(kustomizations=[_at(KUSTOMIZATION, inventory=None)]),
        "applied",
        "was not in it",
        "sopslab validate",
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


UNREAD = Undecided("the repository cannot be read: x")
UNKNOWN = [
    (
        replace(DONE, snapshot=unseen(SNAPSHOT, Undecided("the cluster could not be asked"))),
        {"access", "key", "source", "applied", "secret"},
        "the cluster could not be asked.",
    ),
    (
        with_facets(branches=UNREAD, tree=UNREAD),
        {"key", "pushed", "encrypted", "wired", "source", "applied", "secret"},
        "the repository cannot be read: x.",
    ),
    (replace(DONE, start=None), {"pushed"}, "the first commit of the repository"),
    (
        with_tree(report=Report(undecided=["gitleaks is not installed"])),
        {"encrypted"},
        "the policy could not judge the secrets: gitleaks is not installed.",
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
    """The keys may be those of the previous commit."""
    seen = with_facets(
        kustomizations=[_at(KUSTOMIZATION, lastAppliedRevision=BEHIND)],
        live={"backend-secrets": replace(LIVE, keys=frozenset({"old"}))},
    )
    row = judge(ADA, seen)

    assert {step.id: step.progress for step in row.steps}["secret"] is Progress.UNKNOWN
    assert not row.stuck


def test_what_is_broken_is_told_before_what_comes_next() -> None:
    first = material.fresh()
    snapshot = replace(first.snapshot, kustomizations=[suspended(KUSTOMIZATION)])
    seen = replace(first, snapshot=snapshot)

    assert "is suspended" in judge(ADA, seen).next


def test_what_a_terminal_would_obey_is_not_passed_on() -> None:
    seen = with_tree(report=Report([Finding("flux/secrets/\x1b[2J\n.yaml", 1, "x", "m", "")]))

    assert judge(ADA, seen).next.startswith("flux/secrets/\\x1b[2J\\n.yaml holds what")


def test_a_source_that_is_read_at_the_moment_is_no_failure() -> None:
    busy = flux_object("GitRepository", "lab-ada-sys", "lab", artifact={"revision": BEHIND})
    busy["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]

    assert not judge(ADA, with_facets(sources=[busy])).stuck


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
    [("ada", "everybody waits for it"), ("bob", "held up by another build")],
)
def test_a_build_without_end_is_told_to_everybody_and_whose_it_is_by_the_command(
    whose: str, found: str
) -> None:
    row = judge(ADA, with_facets(kustomizations=[_building(KUSTOMIZATION)], holder=whose))

    applied = next(step for step in row.steps if step.id == "applied")
    assert found in applied.found
    assert "bob" not in applied.found, "a learner sees this, and no other learner's id"
    assert applied.fix == f"sopslab reset {whose}"
    assert applied.stuck is (whose == "ada")


@pytest.mark.parametrize(
    "text", ["resources: {", "[" * 5000, 'resources: ["\\U99999999"]', "x: 2020-99-99", "x: \x00"]
)
def test_a_list_that_cannot_be_read_is_said_and_ends_nothing(text: str) -> None:
    wired = next(
        step for step in judge(ADA, with_tree(kustomization=text)).steps if step.id == "wired"
    )

    assert "kustomization.yaml is not valid" in wired.found


def _pasted(command: str) -> list[str]:
    """Return the arguments that a shell gives to git, one on each line."""
    git = "git() { printf '%s\\n' \"$@\"; }"
    done = subprocess.run(
        ["sh", "-c", f"{git}\n{command}"], check=True, capture_output=True, text=True
    )
    return done.stdout.splitlines()


HOSTILE_NAMES = ["x; id #.yaml", "$(id).yaml", "`id`.yaml", "a b.yaml", "'; id; '.yaml", "-x.yaml"]


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_a_learners_name_stays_one_word_of_the_command_that_helps(name: str) -> None:
    """The board offers the command for copying into the instructor's shell."""
    path = f"flux/secrets/develop/{name}"
    listed = with_tree(kustomization=json.dumps({"resources": [name]}))
    wired = next(step for step in judge(ADA, listed).steps if step.id == "wired")
    plain = replace(material.FILE, plain=("data.a",))
    encrypted = judge(ADA, with_tree(manifests={name: plain}))
    restored = next(step for step in encrypted.steps if step.id == "encrypted")

    assert name not in wired.fix and "git add" in wired.fix
    assert _pasted(restored.fix)[-2:] == ["--", path]


def test_who_does_not_wait_for_it_is_told_nothing() -> None:
    assert judge(ADA, with_facets(holder="bob")).done


def test_the_oldest_build_that_is_no_ordinary_one_holds_up_the_others() -> None:
    now = datetime(2026, 11, 28, 10, 1, tzinfo=UTC)

    def seat(name: str, since: str, reason: str = "Progressing") -> dict[str, object]:
        found = _building(KUSTOMIZATION, since, reason)
        metadata = {
            "name": "secrets-develop",
            "namespace": f"lab-{name}-sys",
            "labels": {"sops-lab/seat": name, "sops-lab": "lab"},
        }
        return {**found, "metadata": metadata}

    def held(*found: dict[str, object]) -> str:
        return holder(found, "lab", now)

    late, first = seat("bob", "2026-11-28T10:00:05Z"), seat("ada", BEGUN)
    assert held(late, first, seat("eve", "2026-11-28T10:00:55Z")) == "ada"
    assert held(seat("eve", "2026-11-28T10:00:55Z")) == ""
    assert held(seat("ada", BEGUN, "ProgressingWithRetry")) == ""
    assert held({**KUSTOMIZATION, "metadata": seat("ada", BEGUN)["metadata"]}) == ""
    # Somebody else's is older than all, and theirs only wait.
    metadata = {"name": "apps", "namespace": "team-a"}
    assert held(late, {**_building(KUSTOMIZATION), "metadata": metadata}) == ""
