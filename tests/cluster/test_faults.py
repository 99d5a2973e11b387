"""`sopslab break`, `doctor` and `fix` on a real lab: each fault alone, mixes, and a class."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sopslab.course.faults import BY_ID, clash, draw, injectable
from sopslab.errors import Exit
from tests.cluster.classroom import Classroom
from tests.cluster.diagnosis import ask, diagnosed
from tests.cluster.interruption import Run, kill_in
from tests.cluster.lab import Lab, run, wait_until
from tests.cluster.test_reset import names_of, objects_of, refs_of
from tests.cluster.watching import CommandLines
from tests.marks import mostly_soak, soak

pytestmark = pytest.mark.every_provider

OTHERS = ("bob", "eve")
LIST = "flux/secrets/develop/kustomization.yaml"
IDENTITY = re.compile(rb"AGE-SECRET-KEY-[0-9A-Z-]{40,}")
# Every fault once, several at a time; no two of a set change the same thing.
SETS = (
    ("missing-key", "encrypted-regex-typo", "wrong-path", "drifted-lockdown-flag"),
    ("wrong-key", "edited-ciphertext", "suspended-kustomization"),
    ("key-without-agekey", "wrong-recipient", "source-controller-without-git"),
    ("corrupt-key", "not-wired", "git-credential-revoked"),
)
# Some faults hide others in what Flux reports: it does not read a source, or does not try a key.
MIXES = (
    ("suspended-kustomization", "wrong-key"),
    ("corrupt-key", "wrong-path"),
    ("not-wired", "encrypted-regex-typo"),
    ("git-credential-revoked", "source-controller-without-git"),
    ("drifted-lockdown-flag", "corrupt-key"),
)


def act(lab: Lab, *arguments: str) -> Any:
    """Run a verb that has to succeed and return its object."""
    code, answer = ask(lab, *arguments)
    assert code == 0, (answer["problems"], answer.get("log"))
    return answer


def verified(lab: Lab) -> dict[str, str]:
    """Return what `sopslab verify` says about each check, in the lab's own clone."""
    work = Path(lab.settings.work_dir)
    done = lab.run("sopslab", "verify", "--json", "--wait", "60", cwd=work, check=False)
    return {one["id"]: one["status"] for one in json.loads(done.stdout)["checks"]}


def message(lab: Lab) -> str:
    """Return what Flux says about the Kustomization."""
    return lab.kubectl(
        "-n", "flux-system", "get", "kustomization", "secrets-develop",
        "-o", 'jsonpath={.status.conditions[?(@.type=="Ready")].message}',
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(lab: Lab) -> Iterator[Lab]:
    """A lab with the exercise done."""
    act(lab, "reset", "--to", "done")
    yield lab
    lab.sopslab("fix", check=False)
    act(lab, "reset")


@pytest.fixture(scope="module")
def before(done: Lab) -> dict[str, str]:
    """All that `sopslab verify` says about a lab without faults."""
    found = verified(done)
    assert set(found.values()) == {"ok"}, found
    return found


@pytest.mark.soak
@pytest.mark.restores
def test_what_is_broken_or_fixed_already_is_not_touched(lab: Lab, done: Lab) -> None:
    for verb, *fault in (("break", "wrong-path"), ("fix",)):
        assert act(done, verb, *fault)["changed"] > 0
        again = act(done, verb, *fault)
        assert again["changed"] == 0, done.changes(again)


@pytest.mark.restores
def test_of_a_lab_that_is_well_nothing_is_said(lab: Lab, done: Lab) -> None:
    assert diagnosed(done) == []
    shown = done.sopslab("doctor")
    assert shown.stdout.startswith("Nothing is wrong.")
    assert shown.stderr == ""


@contextmanager
def leaving_no_trace(done: Lab, before: dict[str, str]) -> Iterator[None]:
    """Assert that a block of faults and fixes leaves all as it was, and that no key is shown."""
    refs = run(["git", "for-each-ref"], cwd=done.bare).stdout
    with CommandLines() as seen:
        yield
    assert not [line for line in seen.lines if IDENTITY.search(line)]
    assert run(["git", "for-each-ref"], cwd=done.bare).stdout == refs
    assert verified(done) == before
    answer = done.up()
    assert answer["changed"] == 0, done.changes(answer)
    assert not (Path(done.settings.lab_dir) / "faults" / "learner").exists()


def inject(lab: Lab, folder: Path, faults: Sequence[str]) -> None:
    """Inject several faults by one run: `sopslab break` takes one fault at a time."""
    data = {"faults": json.dumps(faults)}
    with Run(lab, folder / "output", "deploys/break.py", data) as one:
        assert one.ends_within(180), one.output.read_text()[-3000:]
    assert one.process.returncode == 0, one.output.read_text()[-3000:]


def test_every_fault_is_in_a_set() -> None:
    assert sorted(fault for faults in SETS for fault in faults) == sorted(BY_ID)
    assert [clash(faults) for faults in SETS] == [None] * len(SETS)


@pytest.mark.restores
@pytest.mark.parametrize("faults", mostly_soak(SETS, SETS[1]), ids="+".join)
def test_faults_are_injected_named_and_undone(
    lab: Lab, done: Lab, tmp_path: Path, before: dict[str, str], faults: tuple[str, ...]
) -> None:
    with leaving_no_trace(done, before):
        inject(done, tmp_path, faults)
        assert sorted(diagnosed(done)) == sorted(faults)
        # The same once Flux has tried, and reports what it met.
        wait_for_flux(done)
        assert sorted(diagnosed(done)) == sorted(faults), message(done)
        act(done, "fix")
        assert diagnosed(done) == []
        assert act(done, "fix")["changed"] == 0


@pytest.mark.soak
@pytest.mark.restores
@pytest.mark.parametrize("fault", BY_ID)
def test_a_fault_is_injected_named_and_undone(
    lab: Lab, done: Lab, before: dict[str, str], fault: str
) -> None:
    with leaving_no_trace(done, before):
        act(done, "break", fault)
        assert diagnosed(done) == [fault]
        act(done, "fix")
        assert diagnosed(done) == []


@pytest.mark.soak
@pytest.mark.restores
@pytest.mark.parametrize("mix", MIXES, ids="+".join)
def test_of_a_mix_of_two_both_are_named(lab: Lab, done: Lab, mix: tuple[str, str]) -> None:
    assert clash(mix) is None
    for fault in mix:
        act(done, "break", fault)
    assert sorted(diagnosed(done)) == sorted(mix)
    # The same once Flux has tried, and reports what it met.
    wait_for_flux(done)
    assert sorted(diagnosed(done)) == sorted(mix), message(done)
    act(done, "fix")
    assert diagnosed(done) == []


def wait_for_flux(lab: Lab) -> None:
    """Wait until Flux has answered the last request, or does not answer at all."""
    for kind, name in (("gitrepository", "learner"), ("kustomization", "secrets-develop")):
        text = lab.kubectl("-n", "flux-system", "get", kind, name, "-o", "json")
        found = json.loads(text)
        if found["spec"].get("suspend"):
            continue
        lab.run(
            "flux", "--namespace", "flux-system", "reconcile",
            *(("source", "git") if kind == "gitrepository" else (kind,)), name,
            "--timeout", "20s", check=False,
        )  # fmt: skip


@pytest.mark.soak
@pytest.mark.restores
@pytest.mark.parametrize("seed", [1, 2])
def test_an_exam_is_drawn_by_its_seed_and_tells_nothing(lab: Lab, done: Lab, seed: int) -> None:
    drawn = draw(seed, 2, injectable(seat=False, in_class=False))
    shown = done.sopslab("break", "--random", "--seed", str(seed), "--count", "2")
    assert not any(fault in shown.stdout + shown.stderr for fault in BY_ID)
    record = (Path(done.settings.lab_dir) / "faults" / "learner").read_text()
    assert not any(fault in record for fault in BY_ID)
    assert sorted(diagnosed(done)) == sorted(drawn)
    act(done, "fix")
    assert diagnosed(done) == []


@pytest.mark.soak
@pytest.mark.restores
@pytest.mark.parametrize("checkpoint", ("start", "encrypted", "wired"))
def test_an_exercise_that_goes_on_is_no_fault(lab: Lab, done: Lab, checkpoint: str) -> None:
    try:
        act(done, "reset", "--to", checkpoint)
        assert diagnosed(done) == []
        if checkpoint != "wired":
            code, answer = ask(done, "break", "wrong-key")
            assert code == Exit.FAULTS
            assert "reset learner --to done" in answer["problems"][0]
            assert diagnosed(done) == []
    finally:
        act(done, "reset", "--to", "done")


@pytest.mark.soak
@pytest.mark.restores
@pytest.mark.parametrize("fault", ["edited-ciphertext", "wrong-recipient"])
def test_what_the_learner_has_repaired_stays_and_leaves_no_trace_of_the_fault(
    lab: Lab, done: Lab, tmp_path: Path, fault: str
) -> None:
    act(done, "break", fault)
    clone = done.learner(tmp_path)
    done.run(
        "scripts/sops-encrypt-secret.sh", "develop", "backend-secrets", "--force",
        cwd=clone, stdin="API_TOKEN=anew\n",
    )  # fmt: skip
    done.run("git", "commit", "--quiet", "-am", "Encrypt again", cwd=clone)
    done.run("git", "push", "--quiet", cwd=clone)
    head = done.head()
    wait_until(lambda: done.flux_applied(head), "Flux applies the repair")
    assert diagnosed(done) == []
    act(done, "fix")
    # A fault that counts as a leak is out of the history, so the learner's commits have new ids.
    assert (done.head() == head) != BY_ID[fault].exposes
    assert run(["git", "diff", head, "refs/heads/main"], cwd=done.bare).stdout == ""
    assert diagnosed(done) == []
    assert verified(done)["history"] == "ok"
    act(done, "reset", "--to", "done")
    assert verified(done)["history"] == "ok"


@pytest.mark.soak
@pytest.mark.restores
def test_up_repairs_what_is_the_platforms_and_fix_has_the_rest(
    lab: Lab, done: Lab, tmp_path: Path
) -> None:
    faults = ("missing-key", "git-credential-revoked", "wrong-path", "drifted-lockdown-flag")
    inject(done, tmp_path, faults)
    act(done, "up")
    # With its credential back, Flux reads what it has missed.
    wait_until(lambda: diagnosed(done) == [], "the doctor finds nothing any more")
    act(done, "fix")
    assert diagnosed(done) == []
    answer = done.up()
    assert answer["changed"] == 0, done.changes(answer)


@pytest.mark.soak
@pytest.mark.restores
def test_up_leaves_what_a_fault_has_suspended_and_says_what_undoes_it(lab: Lab, done: Lab) -> None:
    act(done, "break", "suspended-kustomization")
    answer = act(done, "up")
    (remark,) = answer["remarks"]
    assert answer["changed"] == 0 and "secrets-develop" in remark and "sopslab fix" in remark
    assert diagnosed(done) == ["suspended-kustomization"]
    act(done, "fix")
    assert act(done, "up")["remarks"] == []


@pytest.mark.soak
def test_a_run_that_is_killed_is_gone_on_with(lab: Lab, done: Lab, tmp_path: Path) -> None:
    # Seconds. Nothing that is killed is done by then.
    soonest = 0.1
    faults = ("corrupt-key", "not-wired")
    refs = run(["git", "for-each-ref"], cwd=done.bare).stdout

    data = {"faults": json.dumps(faults)}

    assert kill_in(done, tmp_path, "deploys/break.py", "Break the environment", soonest, data)
    for fault in faults:
        act(done, "break", fault)
    assert sorted(diagnosed(done)) == sorted(faults)
    assert kill_in(done, tmp_path, "deploys/fix.py", "Undo what was injected", soonest)
    act(done, "fix")
    assert diagnosed(done) == []
    assert run(["git", "for-each-ref"], cwd=done.bare).stdout == refs


# A class


@pytest.fixture(scope="module")
def seats(classroom: Classroom) -> Iterator[Classroom]:
    """A class in which everybody has done the exercise."""
    act(classroom.lab, "reset", "--all", "--to", "done")
    yield classroom
    classroom.lab.sopslab("fix", check=False)
    act(classroom.lab, "reset", "--all")


# One fault in Git, one in the cluster, and one in Flux's objects; each one alone is tested above.
@pytest.mark.soak
@pytest.mark.parametrize(
    "fault", mostly_soak(("wrong-recipient", "missing-key", "wrong-path"), "wrong-path")
)
def test_one_seat_is_broken_and_nobody_elses(seats: Classroom, fault: str) -> None:
    lab = seats.lab
    before = {seat: objects_of(seats, seat) for seat in OTHERS}
    names, refs = names_of(seats, "ada"), refs_of(seats, "ada")
    act(lab, "break", fault, "ada")
    assert diagnosed(lab, "ada") == [fault]
    assert {seat: diagnosed(lab, seat) for seat in OTHERS} == {seat: [] for seat in OTHERS}
    act(lab, "fix", "ada")
    assert diagnosed(lab, "ada") == []
    assert {seat: objects_of(seats, seat) for seat in OTHERS} == before
    assert (names_of(seats, "ada"), refs_of(seats, "ada")) == (names, refs)
    answer = seats.up()
    assert answer["changed"] == 0, lab.changes(answer)


def _lists_what_is_not_there(clone: Path) -> None:
    path = clone / LIST
    path.write_text(path.read_text() + "  - nowhere.yaml\n")


def _lists_too_much(clone: Path) -> None:
    maps = [
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: pushed-{number}}}\n"
        for number in range(60)
    ]
    (clone / LIST).with_name("many.yaml").write_text("---\n".join(maps))
    path = clone / LIST
    path.write_text(path.read_text() + "  - many.yaml\n")


def _lists_what_is_not_a_learners(clone: Path) -> None:
    role = "apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: mine}\n"
    (clone / LIST).with_name("role.yaml").write_text(role)
    path = clone / LIST
    path.write_text(path.read_text() + "  - role.yaml\n")


@pytest.mark.parametrize(
    ("mistake", "cause"),
    [
        (_lists_what_is_not_there, "listed-file-missing"),
        soak(_lists_too_much, "over-quota"),
        soak(_lists_what_is_not_a_learners, "forbidden"),
    ],
    ids=["missing", "quota", "rights"],
)
def test_a_learners_own_mistake_is_named_too(
    seats: Classroom, tmp_path: Path, mistake: Callable[[Path], None], cause: str
) -> None:
    clone = seats.clone("ada", tmp_path)
    mistake(clone)
    seats.push(clone)
    try:
        wait_until(lambda: diagnosed(seats.lab, "ada") == [cause], f"{cause} is named", 60)
        assert diagnosed(seats.lab, "bob") == []
    finally:
        act(seats.lab, "reset", "ada", "--to", "done")
    assert diagnosed(seats.lab, "ada") == []


def test_what_all_share_is_not_broken_in_a_class(seats: Classroom) -> None:
    for fault, learner in (
        ("drifted-lockdown-flag", "ada"),
        ("source-controller-without-git", "ada"),
        ("git-credential-revoked", "learner"),
    ):
        code, answer = ask(seats.lab, "break", fault, learner)
        assert code == Exit.INPUT
        assert "would reach the whole class" in answer["problems"][0]


@pytest.mark.soak
def test_a_class_is_asked_whom_the_doctor_is_to_examine(seats: Classroom) -> None:
    done = seats.lab.sopslab("doctor", check=False)
    assert done.returncode == Exit.INPUT
    assert "name the learners: ada, bob, eve" in done.stderr
