"""The doctor's diagnosis of what it sees: each fault, every mix of two, and what is no fault."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from sopslab.checks.diagnosis import Diagnosis, diagnose, of_ended
from sopslab.checks.rules.results import Cause
from sopslab.checks.rules.table import Step, examine
from sopslab.checks.snapshot import (
    NO_MAIN,
    UNASKED,
    Access,
    Branches,
    Cluster,
    Entry,
    GitServer,
    Guard,
    Hooks,
    Identity,
    Login,
    Opened,
    Part,
    Rule,
    Snapshot,
    Tool,
    known,
    unseen,
)
from sopslab.cli import answers
from sopslab.cli import doctor_report as report
from sopslab.config.environment import at_seat
from sopslab.config.settings import Learner
from sopslab.course.faults import BY_ID, clash
from sopslab.model.objects import condition
from sopslab.model.results import Undecided
from sopslab.model.suspension import BUILD, ROTATE, SUSPENDED_BY
from sopslab.model.trouble import Trouble
from sopslab.policy.findings import Finding, Report
from tests.unit.doctor.doctor_material import (
    FAULTS,
    LATER,
    OWN,
    STRANGER,
    TEACHER,
    UNLISTED,
    Change,
    being_built,
    both,
    edited,
    facets,
    healthy,
    key,
    live,
    main,
    manifest,
    not_applied,
    not_read,
    on_main,
    pushed,
    spec,
)

FOLDER = "flux/secrets/develop"
MIXES = [pair for pair in permutations(FAULTS, 2) if clash(pair) is None]


def ids(diagnosis: Diagnosis) -> list[str]:
    return [one.id for one in diagnosis.causes]


def messages(seen: Snapshot) -> Iterator[str]:
    """Yield the messages of all Flux objects."""
    for one in (*(known(seen.sources) or ()), *(known(seen.kustomizations) or ())):
        yield str(condition(one, "Ready").get("message", ""))


def told(one: Cause) -> str:
    return " ".join([one.sentence, *(f"{each.what} {each.seen}" for each in one.evidence)])


def test_of_an_environment_that_is_well_nothing_is_said() -> None:
    diagnosis = diagnose(healthy())
    assert (diagnosis, diagnosis.exit_code) == (Diagnosis(), 0)


def test_every_fault_that_can_be_injected_is_known_here() -> None:
    assert list(FAULTS) == list(BY_ID)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_and_nothing_else(fault: str) -> None:
    seen = FAULTS[fault](healthy())
    diagnosis = diagnose(seen)
    assert (ids(diagnosis), diagnosis.undecided) == ([fault], ())
    assert diagnosis.exit_code == 1
    (one,) = diagnosis.causes
    assert one.evidence and one.next_step
    assert one.sentence.endswith(".") and ". " not in one.sentence
    for message in messages(seen):
        for part in re.split(r"[:|]", message):
            assert len(part) < 12 or part.strip() not in told(one), "Flux's words are not repeated"


@pytest.mark.parametrize("pair", MIXES, ids="+".join)
def test_of_a_mix_of_two_both_are_named_and_nothing_else(pair: tuple[str, str]) -> None:
    # Both faults set the status of Flux's objects: the second message replaces the first.
    diagnosis = diagnose(both(*(FAULTS[fault] for fault in pair))(healthy()))
    assert (sorted(ids(diagnosis)), diagnosis.undecided) == (sorted(pair), ())


NOT_BEGUN = main(
    kustomization=UNLISTED,
    files=frozenset({"lab-canary.yaml", "kustomization.yaml"}),
    manifests={"lab-canary.yaml": manifest("lab-canary")},
    once_listed=frozenset({"lab-canary.yaml"}),
)
HALF_DONE = main(kustomization=UNLISTED, once_listed=frozenset({"lab-canary.yaml"}))


def versions(controllers: str) -> Change:
    """Return a change that sets the version of Flux's controllers."""
    labels = {"app.kubernetes.io/version": f"v{controllers}"}
    names = [one["metadata"]["name"] for one in known(healthy().controllers)]
    return both(
        *(
            edited("controllers", name, lambda one: one["metadata"].update(labels=labels))
            for name in names
        )
    )


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(NOT_BEGUN, id="not begun"),
        pytest.param(HALF_DONE, id="encrypted and not listed yet"),
        pytest.param(pushed(LATER), id="pushed, and Flux has not read it yet"),
        pytest.param(
            edited(
                "kustomizations",
                "secrets-develop",
                lambda one: one["status"].update(
                    conditions=[{"type": "Ready", "status": "Unknown", "message": "at it"}]
                ),
            ),
            id="Flux is at work",
        ),
        pytest.param(key(age__agekey=frozenset({STRANGER, OWN})), id="two keys, in a rotation"),
        pytest.param(
            key(age__agekey=frozenset({OWN}), notes=Entry.INVALID), id="an entry nobody reads"
        ),
        pytest.param(facets(stored=None), id="a source that names no artifact"),
        pytest.param(facets(hooks=None), id="a clone on the learner's machine"),
        pytest.param(being_built("bob"), id="another build holds it up"),
        pytest.param(versions("2.8.1"), id="one minor version apart"),
    ],
)
@pytest.mark.parametrize("start", [lambda seen: seen, HALF_DONE], ids=["done", "half done"])
def test_what_is_no_fault_is_passed_over(start: Change, change: Change) -> None:
    assert diagnose(change(start(healthy()))) == Diagnosis()


def _gone(kind: str, name: str) -> Change:
    def change(seen: Snapshot) -> Snapshot:
        found = [one for one in known(getattr(seen, kind)) if one["metadata"]["name"] != name]
        return facets(**{kind: found})(seen)

    return change


def _platform(edit: Any) -> Change:
    def change(seen: Snapshot) -> Snapshot:
        found = list(known(healthy().platform))
        edit(found[0])
        return facets(platform=found)(seen)

    return change


def _server(answer: int | None = 401, **guard: Any) -> Change:
    ours = Guard("/srv/git/etc/hooks", Part.SAME, Part.SAME)
    return facets(server=GitServer("http://git", answer, replace(ours, **guard)))


OTHERS: dict[str, tuple[Change, str]] = {
    # a change, and its only cause
    "node": (
        lambda seen: replace(seen, cluster=Cluster(nodes=[])),
        "cluster-down",
    ),
    "a controller gone": (_gone("controllers", "source-controller"), "controller-missing"),
    "a controller that does not start": (
        edited("controllers", "kustomize-controller", lambda one: one.update(status={})),
        "controller-down",
    ),
    "versions": (versions("2.7.0"), "version-skew"),
    "a namespace gone": (facets(namespaces={"flux-system": "Active"}), "namespace-missing"),
    "a namespace going": (
        facets(namespaces={"flux-system": "Active", "develop": "Terminating"}),
        "namespace-terminating",
    ),
    "the platform suspended": (
        _platform(lambda one: one["spec"].update(suspend=True)), "suspended-platform",
    ),
    "no platform": (facets(platform=[]), "platform-missing"),
    "the Git server": (
        both(
            _server(None),
            facets(login=Login(None, ours=True, account="x")),
            not_read("unable to list remote: no such host"),
        ),
        "git-server-down",
    ),
    "no repository": (
        both(facets(there=False),
             not_read("repository not found")),
        "repository-missing",
    ),
    "an empty repository": (
        both(facets(branches=Branches(empty=True), tree=Undecided(NO_MAIN)),
             not_read("remote repository is empty")),
        "empty-repository",
    ),
    "no main": (
        both(facets(branches=Branches(), tree=Undecided(NO_MAIN)),
             not_read('couldn\'t find remote ref "refs/heads/main"')),
        "branch-deleted",
    ),
    "no credential": (facets(login=None), "git-credential-missing"),
    "the way to the Git server": (
        not_read("unable to list remote: dial tcp: i/o timeout"), "source-controller-without-git",
    ),
    "no source": (_gone("sources", "learner"), "source-missing"),
    "a source suspended": (spec("sources", "learner", suspend=True), "suspended-source"),
    "another branch": (spec("sources", "learner", ref={"branch": "old"}), "wrong-branch"),
    "another credential": (
        spec("sources", "learner", secretRef={"name": "x"}), "wrong-login",
    ),
    "an artifact lost": (facets(stored=False), "artifact-lost"),
    "the key file": (
        lambda seen: replace(seen, identity=Identity(problem="it is gone", fix="sopslab up")),
        "store-key-unusable",
    ),
    "no Kustomization": (_gone("kustomizations", "secrets-develop"), "kustomization-missing"),
    "no decryption": (
        spec("kustomizations", "secrets-develop", decryption=None), "decryption-off",
    ),
    "another key Secret": (
        spec("kustomizations", "secrets-develop",
             decryption={"provider": "sops", "secretRef": {"name": "x"}}),
        "wrong-key-reference",
    ),
    "another source": (
        spec("kustomizations", "secrets-develop", sourceRef={"name": "x"}), "wrong-source",
    ),
    "no rules": (main(rule=Rule(there=False), regex=None), "rule-missing"),
    "no rule that matches": (main(rule=Rule(there=True), regex=None), "rule-missing"),
    "rules that cannot be read": (main(unruled="it is no YAML", regex=None), "rule-unreadable"),
    "a rule for a stranger": (
        main(rule=Rule(there=True, recipients=frozenset({STRANGER}))), "wrong-rule",
    ),
    "a slip in the rule alone": (main(regex="^(dta|stringData)$"), "encrypted-regex-typo"),
    "no encryption at all": (
        on_main("x", manifest("x", recipients=None, plain=("data.A",))),
        "plaintext-secret",
    ),
    "a value added in plain text": (
        both(on_main("x", manifest("x", plain=("data.A",))),
             not_applied("Input string <redacted> does not match sops' data format")),
        "plaintext-value",
    ),
    "metadata edited": (
        on_main("backend-secrets", manifest("backend-secrets", opened=Opened.MAC)),
        "edited-ciphertext",
    ),
    "another namespace": (
        both(on_main("backend-secrets", manifest("backend-secrets", namespace="default")),
             not_applied("secrets is forbidden", "ReconciliationFailed")),
        "wrong-namespace",
    ),
    "no folder": (
        both(main(files=frozenset(), kustomization=None, manifests={}),
             not_applied("kustomization path not found")),
        "folder-missing",
    ),
    "no list": (main(kustomization=None), "list-missing"),
    "a list that is none": (
        both(main(kustomization="resources: {"), not_applied("MalformedYAML")), "list-invalid",
    ),
    "a file that is not there": (
        both(main(kustomization="resources: [lab-canary.yaml, backend-secrets.yaml, x.yaml]"),
             not_applied("accumulating resources: no such file or directory")),
        "listed-file-missing",
    ),
    "a Secret deleted": (
        facets(live={"lab-canary": live("lab-canary")}), "deleted-secret",
    ),
    "a Secret changed": (
        facets(live={"lab-canary": live("lab-canary"),
                     "backend-secrets": live("backend-secrets", "other")}),
        "drifted-secret",
    ),
    "a Secret that somebody else has made": (
        facets(live={"lab-canary": live("lab-canary", owner=""),
                     "backend-secrets": live("backend-secrets")}),
        "unowned-secret",
    ),
    "a tool that is gone": (facets(tools=[Tool("sops", "3.13.3", None)]), "tool-missing"),
    "a seat without a kubeconfig": (
        facets(access=Access(kubeconfig=False, password=True)), "kubeconfig-missing",
    ),
    "a seat without a password": (
        facets(access=Access(kubeconfig=True, password=False)), "password-missing",
    ),
    "a kubeconfig that has ended": (
        facets(expired="2026-11-29 10:00+00:00"), "kubeconfig-ended",
    ),
    "a build that does not end": (being_built("learner"), "endless-build"),
    "another version of a tool": (
        facets(tools=[Tool("sops", "3.13.3", "3.7.3")]), "tool-version",
    ),
    "a Git server that lets everybody in": (_server(200), "git-server-open"),
    "a Git server without its hook": (_server(hook=Part.MISSING), "git-server-unguarded"),
    "a Git server with another policy": (_server(policy=Part.OTHER), "git-server-unguarded"),
    "a Git server that runs no hooks": (_server(hooks_path=None), "git-server-unguarded"),
    "a Git server elsewhere": (facets(server=GitServer("http://git", None)), "git-server-down"),
    "no commit hook": (facets(hooks=Hooks("/x", runs_pre_commit=False)), "hooks-missing"),
    "no hooks configured": (facets(hooks=Hooks("/x", configured=False)), "hooks-changed"),
    "a hook taken out": (facets(hooks=Hooks("/x", missing=["no-secrets"])), "hooks-changed"),
    "the instructor's key file": (
        facets(instructor=Identity(problem="it is gone", fix="sopslab up")),
        "instructor-key-unusable",
    ),
    "a rule without the instructor": (
        main(rule=Rule(there=True, recipients=frozenset({OWN}))), "rule-without-instructor",
    ),
    "a rule for a stranger, too": (
        main(rule=Rule(there=True, recipients=frozenset({OWN, TEACHER, STRANGER}))),
        "rule-with-stranger",
    ),
    "another account": (
        spec("kustomizations", "secrets-develop", serviceAccountName=None), "wrong-account",
    ),
    "a Receiver suspended": (spec("receivers", "lab", suspend=True), "suspended-receiver"),
    "a kind that is not known": (facets(receivers=None), "kind-missing"),
    "something that the policy forbids": (
        main(report=Report([Finding("flux/secrets/x.yaml", 3, "key-age", "an age key", "")])),
        "policy-violation",
    ),
    "a file without the instructor": (
        main(report=Report([Finding(f"{FOLDER}/lab-canary.yaml", 3, "sops-missing-recipient",
                                    "age1teacher must be able to read it", "")])),
        "encrypted-otherwise",
    ),
    "a quota": (
        not_applied('configmaps "x" is forbidden: exceeded quota: seat', "ReconciliationFailed"),
        "over-quota",
    ),
    "a webhook": (
        not_applied('admission webhook "w" denied the request: x', "ReconciliationFailed"),
        "refused-by-admission",
    ),
    "an admission policy": (
        not_applied("ValidatingAdmissionPolicy 'p' with binding 'b' denied request: x"),
        "refused-by-admission",
    ),
    "something that is not Flux's to apply": (not_applied("roles is forbidden"), "forbidden"),
    "something that never gets ready": (not_applied("timeout waiting for: x"), "not-ready"),
    "a failure that is over": (not_applied('secrets "sops-age" not found'), "flux-behind"),
    "a failed reading that is over": (
        not_read("authentication required"), "flux-behind",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_other_causes_are_named_too(name: str) -> None:
    change, expected = OTHERS[name]
    diagnosis = diagnose(change(healthy()))
    assert (ids(diagnosis), diagnosis.undecided) == ([expected], ())


TOLD_BY_FLUX = {"over-quota", "refused-by-admission", "forbidden", "not-ready"}
# Not tested together: causes that change the same object, that Flux does not report of a suspended
# object, or that are over by then.
NOT_TOGETHER = {
    "suspended-kustomization": {"kustomization-missing", "flux-behind", *TOLD_BY_FLUX},
    "git-credential-revoked": {
        *("source-missing", "git-server-down", "git-credential-missing", "flux-behind"),
        "source-controller-without-git",
    },
}


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (fault, name)
        for fault, never in NOT_TOGETHER.items()
        for name, (_, expected) in OTHERS.items()
        if expected not in never
    ],
)
def test_no_cause_hides_another(fault: str, name: str) -> None:
    change, expected = OTHERS[name]
    assert {fault, expected} <= set(ids(diagnose(both(change, FAULTS[fault])(healthy()))))


def test_a_cluster_that_does_not_answer_is_one_cause_and_git_is_looked_at() -> None:
    seen = unseen(FAULTS["wrong-recipient"](healthy()), Undecided(UNASKED))
    diagnosis = diagnose(replace(seen, cluster=Cluster(Trouble.REFUSED)))
    assert (ids(diagnosis), diagnosis.undecided) == (["cluster-down", "wrong-recipient"], ())
    assert diagnosis.causes[0].next_step == "sopslab up"


def test_what_could_not_be_looked_at_is_told_and_is_no_health() -> None:
    seen = replace(healthy(), tree=Undecided("the repository cannot be read: x"))
    diagnosis = diagnose(seen)
    assert (ids(diagnosis), diagnosis.exit_code) == ([], 2)
    assert diagnosis.undecided == ("the repository cannot be read: x.",)
    with_cause = diagnose(FAULTS["corrupt-key"](seen))
    assert (ids(with_cause), with_cause.exit_code) == (["corrupt-key"], 1)
    assert diagnosis.undecided[0] in with_cause.undecided


def test_which_of_two_keys_is_wrong_is_not_said_before_the_files_are_seen() -> None:
    diagnosis = diagnose(FAULTS["wrong-key"](replace(healthy(), tree=Undecided("sops is gone"))))
    assert (ids(diagnosis), diagnosis.exit_code) == ([], 2)


def test_what_flux_reports_is_not_called_past_before_all_is_seen() -> None:
    late = not_applied("error decrypting sops tree: x")(healthy())
    assert ids(diagnose(late)) == ["flux-behind"]
    closed = main(manifests={"x.yaml": manifest("x", opened=Undecided("sops did not answer"))})
    assert ids(diagnose(closed(late))) == []
    assert diagnose(closed(late)).exit_code == 2


@pytest.mark.parametrize("failing_part", [not_applied, not_read])
def test_a_message_that_nobody_knows_is_no_cause_and_no_health(failing_part: Any) -> None:
    diagnosis = diagnose(failing_part("never seen before")(healthy()))
    assert (ids(diagnosis), diagnosis.exit_code) == ([], 2)
    assert "never seen before" not in diagnosis.undecided[0]


def test_a_key_that_the_files_are_for_is_not_called_the_wrong_one() -> None:
    seen = replace(healthy(), identity=Identity("age1new"))
    found = ids(diagnose(seen))
    assert "store-key-differs" in found and "wrong-key" not in found


def test_the_platform_that_fails_for_the_same_credential_is_not_a_second_cause() -> None:
    def edit(one: Any) -> None:
        one["status"]["conditions"] = [{"type": "Ready", "status": "False", "reason": "X"}]

    seen = _platform(edit)(healthy())
    assert ids(diagnose(seen)) == ["platform-not-ready"]
    assert ids(diagnose(FAULTS["git-credential-revoked"](seen))) == ["git-credential-revoked"]


def test_a_platform_that_has_not_tried_its_new_credential_yet_is_no_cause() -> None:
    def failed(message: str) -> Change:
        def edit(one: Any) -> None:
            ready = {"type": "Ready", "status": "False", "message": message}
            one["kind"], one["status"]["conditions"] = "GitRepository", [ready]

        return _platform(edit)

    def found(message: str) -> list[str]:
        return [
            one for one in ids(diagnose(failed(message)(healthy()))) if one != "platform-missing"
        ]

    assert found("unable to list remote: authentication required") == []
    assert found("unable to list remote: x") == ["platform-not-ready"]


def test_a_platform_that_has_not_tried_a_server_that_is_back_is_no_cause() -> None:
    def edit(one: Any) -> None:
        ready = {"type": "Ready", "status": "False", "message": "dial tcp: connection refused"}
        one["kind"], one["status"]["conditions"] = "GitRepository", [ready]

    seen = _platform(edit)(healthy())
    assert "platform-not-ready" not in ids(diagnose(seen))
    # If the server does not answer, the server itself is named.
    assert "git-server-down" in ids(diagnose(_server(None)(seen)))


@pytest.mark.parametrize("rule", ["sops-missing-recipient", "secret-plaintext"])
def test_what_the_policy_says_of_a_file_is_not_told_twice(rule: str) -> None:
    found = Finding(f"{FOLDER}/backend-secrets.yaml", 3, rule, "x", "")
    change = both(FAULTS["wrong-recipient"], main(report=Report([found])))
    assert ids(diagnose(change(healthy()))) == ["wrong-recipient"]


def test_what_the_policy_could_not_judge_is_told() -> None:
    diagnosis = diagnose(main(report=Report(undecided=["no gitleaks"]))(healthy()))
    assert diagnosis.exit_code == 2 and "no gitleaks" in diagnosis.undecided[0]


def test_each_cause_is_of_one_check_of_verify() -> None:
    steps: dict[str, set[Step]] = {}
    for change in (*FAULTS.values(), *(change for change, _ in OTHERS.values())):
        for step, one in examine(change(healthy())).causes:
            steps.setdefault(one.id, set()).add(step)
    # The first is said of the lab's own server and of another; the second, of either half of the
    # way.
    several = {"git-server-down", "flux-behind"}
    assert {one for one, found in steps.items() if len(found) > 1} == several


def test_what_comes_first_on_the_way_is_told_first() -> None:
    order = ["drifted-lockdown-flag", "git-credential-revoked", "wrong-key", "wrong-path"]
    found = ids(diagnose(both(*(FAULTS[fault] for fault in reversed(order)))(healthy())))
    assert found == order


def test_at_a_seat_the_commands_are_the_instructors() -> None:
    learner = Learner(id="ada", name="Ada", email="ada@example.org")
    seen = replace(FAULTS["corrupt-key"](healthy()), environment=at_seat(learner))
    found = {one.id: one for one in diagnose(seen).causes}
    assert found["corrupt-key"].next_step == "sopslab up --key-from store"


def test_the_lab_encrypted_the_canary_and_a_learner_does_not_do_it_again() -> None:
    slip = manifest("lab-canary", plain=("data.A",), regex="^(dta|stringData)$")
    (one,) = diagnose(on_main("lab-canary", slip)(healthy())).causes
    assert one.id == "encrypted-regex-typo"
    assert one.next_step.endswith(f"-- {FOLDER}/lab-canary.yaml")


def test_an_object_that_flux_was_told_to_leave_alone_is_released_first() -> None:
    def edit(one: Any) -> None:
        one["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}

    change = both(FAULTS["wrong-path"], edited("kustomizations", "secrets-develop", edit))
    (one,) = diagnose(change(healthy())).causes
    assert "an annotation tells Flux to leave it so" in one.evidence[0].seen
    assert one.next_step.startswith("kubectl -n flux-system annotate kustomization secrets-develop")


def test_a_secret_that_flux_was_told_to_leave_alone_is_released_first() -> None:
    changed = live("backend-secrets", "other", left_alone=True)
    seen = facets(live={"lab-canary": live("lab-canary"), "backend-secrets": changed})
    (one,) = diagnose(seen(healthy())).causes
    assert "told to leave it so" in one.sentence
    assert one.next_step.startswith("kubectl -n develop annotate secret backend-secrets")


def test_the_text_and_the_json_say_the_same() -> None:
    diagnosis = diagnose(both(FAULTS["wrong-key"], FAULTS["not-wired"])(healthy()))
    text = "\n".join(part.plain for part in report.as_text(diagnosis))
    causes = answers.of_diagnosis(diagnosis, "learner")["causes"]
    seen = [evidence["seen"] for cause in causes for evidence in cause["evidence"]]
    for one in diagnosis.causes:
        assert f"✗ {one.id}: {one.sentence}" in text
        assert f"→ {one.next_step}" in text
        for evidence in one.evidence:
            assert f"{evidence.what}: {evidence.seen}" in text
            assert evidence.seen in seen
    (well,) = report.as_text(Diagnosis())
    assert well.plain.startswith("Nothing is wrong.")


@pytest.mark.parametrize("by", [BUILD, ROTATE])
def test_what_a_verb_of_ours_has_suspended_is_not_resumed_by_hand(by: str) -> None:
    def suspend(one: Any) -> None:
        one["spec"]["suspend"] = True
        one["metadata"].setdefault("annotations", {})[SUSPENDED_BY] = by

    seen = edited("kustomizations", "secrets-develop", suspend)(healthy())
    (found,) = diagnose(seen).causes
    assert found.id == "suspended-kustomization"
    assert "flux" not in found.next_step
    assert {BUILD: "reset learner", ROTATE: "rotate"}[by] in found.next_step


def test_the_end_of_an_access_explains_what_it_suspends_and_nothing_else() -> None:
    suspended = both(
        spec("sources", "learner", suspend=True),
        spec("kustomizations", "secrets-develop", suspend=True),
        main(rule=Rule(there=False), regex=None),
    )
    told = of_ended(diagnose(suspended(healthy())), "ada", "2026-11-01T10:00Z")
    assert [one.id for one in told.causes] == ["access-ended", "rule-missing"]
    assert told.exit_code == 1
