"""`sopslab reset` on a real class: it repairs whatever a learner or an accident makes of a seat."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.errors import Exit
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.interruption import held_up
from tests.cluster.lab import run, wait_until
from tests.cluster.watching import CommandLines
from tests.marks import mostly_soak
from tests.texts import replaced

pytestmark = pytest.mark.every_provider

BROKEN, BESIDE = ("ada", "bob"), "eve"
OTHERS = ("bob", "eve")
SECRETS = "flux/secrets/develop"
# Kinds whose status Flux touches at every interval, even if nothing has changed.
TICKING = {"GitRepository", "Kustomization", "Receiver"}
KINDS = (
    "secrets,configmaps,serviceaccounts,services,pods,deployments,replicasets,roles,rolebindings,"
    "resourcequotas,limitranges,networkpolicies,gitrepositories,kustomizations,receivers"
)
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      securityContext: {runAsNonRoot: true, runAsUser: 1000, seccompProfile: {type: RuntimeDefault}}
      containers:
        - name: web
          image: registry.invalid/never:1
          securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}
"""

Break = Callable[[Classroom, str, Path], None]


def reset(classroom: Classroom, *arguments: str, check: bool = True) -> dict[str, Any]:
    """Run `sopslab reset --json` and return its object, with the exit code as `code`."""
    done = classroom.lab.sopslab("reset", "--json", *arguments, check=False)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = {**json.loads(done.stdout), "code": done.returncode}
    assert not check or done.returncode == 0, f"{answer['problems']}, see {answer.get('log')}"
    return answer


def kubectl(classroom: Classroom, *arguments: str, **more: Any) -> str:
    """Return what kubectl prints for the instructor."""
    return classroom.lab.run("kubectl", *arguments, **more).stdout


def objects_of(classroom: Classroom, seat: str) -> dict[str, str]:
    """Return every object of a seat, with a mark that changes when anybody touches the object."""
    environment = classroom.environment(seat)
    found: dict[str, str] = {}
    for question in (
        ["--namespace", environment.namespace, "get", KINDS],
        ["--namespace", environment.system, "get", KINDS],
        ["get", "namespaces", environment.namespace, environment.system],
        ["--namespace", "flux-system", "get", "kustomizations", f"tenant-{seat}"],
    ):
        answer = json.loads(kubectl(classroom, *question, "--output", "json"))
        for item in answer.get("items", [answer]):
            data = item["metadata"]
            mark = str(data["resourceVersion"])
            if item["kind"] in TICKING:
                mark = json.dumps([data["generation"], data["uid"], item["spec"]], sort_keys=True)
            found[f"{item['kind']} {data.get('namespace', '')}/{data['name']}"] = mark
    return found


def names_of(classroom: Classroom, seat: str) -> set[str]:
    """Return the names of a seat's objects."""
    return set(objects_of(classroom, seat))


def refs_of(classroom: Classroom, seat: str) -> dict[str, str]:
    """Return the refs of a seat's repository."""
    text = "%(refname) %(objectname)"
    listing = run(["git", "for-each-ref", f"--format={text}"], cwd=classroom.bare(seat)).stdout
    return dict(line.split() for line in listing.splitlines())


def live(classroom: Classroom, seat: str, secret: str = "lab-canary") -> str:
    """Return the values of a seat's Secret, in base64; empty if it is not there."""
    return kubectl(
        classroom, "--namespace", classroom.environment(seat).namespace, "get", "secret", secret,
        "--ignore-not-found", "--output", "jsonpath={.data}",
    )  # fmt: skip


def kept(classroom: Classroom, seat: str) -> dict[str, str]:
    """Return the branches of a seat on which a reset kept something."""
    found = refs_of(classroom, seat)
    return {name: tip for name, tip in found.items() if name.startswith("refs/heads/saved")}


@pytest.fixture(scope="module", autouse=True)
def day_one(classroom: Classroom) -> Iterator[None]:
    """Reset all seats to day one, before these tests and after them."""
    reset(classroom, "--all")
    yield
    reset(classroom, "--all", check=False)
    for seat in SEATS:
        for name in kept(classroom, seat):
            run(["git", "update-ref", "-d", name], cwd=classroom.bare(seat))
    reset(classroom, "learner", check=False)
    classroom.up()


# What happens to a seat


def broken_content(classroom: Classroom, seat: str, folder: Path) -> None:
    clone = classroom.clone(seat, folder)
    (clone / SECRETS / "kustomization.yaml").write_text("resources: [nowhere.yaml]\n")
    (clone / ".sops.yaml").unlink()
    classroom.push(clone)
    wait_until(lambda: "not ready" in delivery(classroom, seat), "Flux fails", 60)


def delivery(classroom: Classroom, seat: str) -> str:
    """Return whether the seat's Kustomization is ready."""
    status = kubectl(
        classroom, "-n", seat_system_namespace(seat), "get", "kustomization", "secrets-develop",
        "--output", 'jsonpath={.status.conditions[?(@.type=="Ready")].status}', check=False,
    )  # fmt: skip
    return "ready" if status == "True" else "not ready"


def suspended(classroom: Classroom, seat: str, folder: Path) -> None:
    for namespace, kind, name in (
        (seat_system_namespace(seat), "gitrepository", "lab"),
        (seat_system_namespace(seat), "kustomization", "secrets-develop"),
        ("flux-system", "kustomization", f"tenant-{seat}"),
    ):
        kubectl(
            classroom, "--namespace", namespace, "patch", kind, name, "--type=merge",
            '--patch={"spec": {"suspend": true}}',
        )  # fmt: skip
    classroom.push(classroom.clone(seat, folder))


def stuck(classroom: Classroom, seat: str, name: str) -> None:
    """Make a ConfigMap with a finalizer that nobody removes, as only the instructor can."""
    manifest = {
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": name, "finalizers": ["example.org/nobody"]},
    }  # fmt: skip
    kubectl(
        classroom, "--namespace", seat_namespace(seat), "create", "--filename", "-",
        stdin=json.dumps(manifest),
    )  # fmt: skip


def stuck_object(classroom: Classroom, seat: str, folder: Path) -> None:
    stuck(classroom, seat, "stuck")
    stuck(classroom, seat, "going")
    kubectl(
        classroom,
        "--namespace",
        seat_namespace(seat),
        "delete",
        "configmap",
        "going",
        "--wait=false",
    )


def orphaned(classroom: Classroom, seat: str, folder: Path) -> None:
    """Make pods whose ReplicaSet is gone, and that stay, as before a rule prevented that."""
    owner = {
        "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "gone", "controller": True,
        "uid": "00000000-0000-0000-0000-000000000000",
    }  # fmt: skip
    spec = yaml.safe_load(DEPLOYMENT)["spec"]["template"]["spec"]
    held = {"finalizers": ["example.org/nobody"]}
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "spec": spec,
         "metadata": {"name": "orphan", "ownerReferences": [owner], **held}},
        {"apiVersion": "v1", "kind": "Pod", "spec": spec, "metadata": {"name": "held", **held}},
    ]  # fmt: skip
    kubectl(
        classroom, "--namespace", seat_namespace(seat), "create", "--filename", "-",
        stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": pods}),
    )  # fmt: skip


def terminating(classroom: Classroom, seat: str, folder: Path) -> None:
    stuck(classroom, seat, "stuck")
    kubectl(classroom, "delete", "namespace", seat_namespace(seat), "--wait=false")


def terminating_system(classroom: Classroom, seat: str, folder: Path) -> None:
    kubectl(classroom, "delete", "namespace", seat_system_namespace(seat), "--wait=false")


def gone(classroom: Classroom, seat: str, folder: Path) -> None:
    suspended(classroom, seat, folder)
    kubectl(
        classroom,
        "delete",
        "namespace",
        seat_namespace(seat),
        seat_system_namespace(seat),
        "--timeout=90s",
    )


def over_quota(classroom: Classroom, seat: str, folder: Path) -> None:
    classroom.kubectl_as(seat, "create", "--filename", "-", stdin=DEPLOYMENT)
    for number in range(30):
        made = classroom.kubectl_as(seat, "create", "configmap", f"c{number}", check=False)
        if made.returncode != 0:
            break
    assert "exceeded quota" in made.stderr
    classroom.kubectl_as(seat, "delete", "secret", "lab-canary")
    clone = classroom.clone(seat, folder)
    maps = [
        f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: pushed-{number}}}\n"
        for number in range(25)
    ]
    (clone / SECRETS / "many.yaml").write_text("---\n".join(maps))
    listed = clone / SECRETS / "kustomization.yaml"
    listed.write_text(f"{listed.read_text()}  - many.yaml\n")
    classroom.push(clone)
    wait_until(lambda: delivery(classroom, seat) == "not ready", "the quota is exceeded", 60)


def without_key(classroom: Classroom, seat: str, folder: Path) -> None:
    kubectl(
        classroom, "--namespace", seat_system_namespace(seat), "delete", "secret", "sops-age",
        "git-credentials", "receiver-token",
    )  # fmt: skip
    classroom.push(classroom.clone(seat, folder))


def left_alone(classroom: Classroom, seat: str, folder: Path) -> None:
    """Give the canary another value, and tell Flux not to look at it."""
    other = {
        "metadata": {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}},
        "stringData": {"value": "another"},
    }
    kubectl(
        classroom, "--namespace", seat_namespace(seat), "patch", "secret", "lab-canary",
        "--type=merge", f"--patch={json.dumps(other)}",
    )  # fmt: skip


def never_ready(classroom: Classroom, seat: str, folder: Path) -> None:
    clone = classroom.clone(seat, folder)
    (clone / SECRETS / "web.yaml").write_text(DEPLOYMENT)
    listed = clone / SECRETS / "kustomization.yaml"
    listed.write_text(f"{listed.read_text()}  - web.yaml\n")
    classroom.push(clone)
    wait_until(
        lambda: (
            "web"
            in kubectl(
                classroom,
                "-n",
                seat_namespace(seat),
                "get",
                "deployments",
                "-o",
                "name",
            )
        ),
        "Flux applies it",
    )


def differing(classroom: Classroom, seat: str, before: dict[str, str]) -> list[str]:
    """Return only the names of a seat's objects that have changed: the rest is too long to read."""
    return sorted({name for name, _ in objects_of(classroom, seat).items() ^ before.items()})


def tenant_taken_apart(classroom: Classroom, seat: str, folder: Path) -> None:
    kubectl(
        classroom, "--namespace", seat_namespace(seat), "delete", "--all",
        "networkpolicies,resourcequotas,rolebindings",
    )  # fmt: skip


# Two states at a time, each at a seat of its own; the third seat must not change.
STATES: tuple[tuple[Break, Break], ...] = (
    (terminating, gone),
    (orphaned, suspended),
    (broken_content, stuck_object),
    (terminating_system, over_quota),
    (without_key, never_ready),
    (left_alone, tenant_taken_apart),
)


@pytest.mark.parametrize(
    "states",
    mostly_soak(STATES, STATES[0]),
    ids=lambda states: "+".join(state.__name__ for state in states),
)
def test_seats_come_back_from_whatever_state_they_are_in(
    classroom: Classroom, tmp_path: Path, states: tuple[Break, Break]
) -> None:
    beside = objects_of(classroom, BESIDE)
    repository = refs_of(classroom, BESIDE)
    before = {seat: what_stays(classroom, seat) for seat in BROKEN}
    refs = {seat: refs_of(classroom, seat) for seat in BROKEN}
    for seat, state in zip(BROKEN, states, strict=True):
        state(classroom, seat, tmp_path)
    overwritten = {seat: classroom.head(seat) for seat in BROKEN}

    answer = reset(classroom, *BROKEN)

    assert {seat: what_stays(classroom, seat) for seat in BROKEN} == before
    for seat in BROKEN:
        start = refs[seat]["refs/lab/start"]
        assert classroom.head(seat) == start
        assert delivery(classroom, seat) == "ready"
        if overwritten[seat] != start:
            (branch,) = kept(classroom, seat).keys() - refs[seat].keys()
            assert kept(classroom, seat)[branch] == overwritten[seat]
            name = branch.removeprefix("refs/heads/")
            assert any(name in change for change in classroom.lab.changes(answer))
    assert differing(classroom, BESIDE, beside) == []
    assert refs_of(classroom, BESIDE) == repository
    # Flux delivers again, so that a second reset has nothing to do.
    again = reset(classroom, *BROKEN)
    assert (again["changed"], again["code"]) == (0, 0), classroom.lab.changes(again)


def what_stays(classroom: Classroom, seat: str) -> dict[str, object]:
    """Return what a reset does not change at a seat: names, the canary, the key, the password."""
    password = Path(classroom.lab.settings.git_dir) / "credentials" / seat / "password"
    return {
        "names": names_of(classroom, seat),
        "canary": live(classroom, seat),
        "key": classroom.lab.recipient(seat),
        "password": hashlib.sha256(password.read_bytes()).hexdigest(),
    }


@pytest.mark.soak
def test_a_reset_in_front_of_a_push_that_never_gets_ready_is_quick(
    classroom: Classroom, tmp_path: Path
) -> None:
    never_ready(classroom, "ada", tmp_path)
    answer = reset(classroom, "ada")
    # Flux alone would wait a minute for the Deployment.
    assert answer["seconds"] < 45


@pytest.mark.soak
@pytest.mark.parametrize("checkpoint", ["encrypted", "wired", "done"])
def test_a_checkpoint_is_reached_and_left_again(classroom: Classroom, checkpoint: str) -> None:
    start = refs_of(classroom, "ada")["refs/lab/start"]
    with CommandLines() as seen:
        reset(classroom, "ada", "--to", checkpoint)
    refs = refs_of(classroom, "ada")
    assert refs["refs/heads/main"] == refs[f"refs/lab/{checkpoint}"] != start
    changed = run(
        ["git", "diff", "--name-only", start, "refs/heads/main"], cwd=classroom.bare("ada")
    ).stdout.split()
    listed = [] if checkpoint == "encrypted" else [f"{SECRETS}/kustomization.yaml"]
    assert changed == [f"{SECRETS}/backend-secrets.yaml", *listed]
    held = live(classroom, "ada", "backend-secrets")
    assert bool(held) == bool(listed)
    if held:
        value = json.loads(held)["API_TOKEN"]
        assert not seen.contain(value) and not seen.contain(base64.b64decode(value))
    assert reset(classroom, "ada", "--to", checkpoint)["changed"] == 0
    reset(classroom, "ada")
    assert not live(classroom, "ada", "backend-secrets")
    assert refs_of(classroom, "ada")["refs/heads/main"] == start


@pytest.mark.soak
def test_a_seat_that_is_done_passes_all_that_is_asked_of_a_learner(classroom: Classroom) -> None:
    reset(classroom, "ada", "--to", "done")
    board = json.loads(classroom.lab.sopslab("status", "--json", check=False).stdout)
    (row,) = [row for row in board["class"] if row["seat"] == "ada"]
    assert set(row["steps"].values()) == {"yes"}, row
    reset(classroom, "ada")


def test_all_go_back_and_one_that_cannot_stops_nobody(classroom: Classroom, tmp_path: Path) -> None:
    heads = {}
    for seat in SEATS:
        classroom.push(classroom.clone(seat, tmp_path))
        heads[seat] = classroom.head(seat)
        classroom.kubectl_as(seat, "create", "configmap", "mine")
        assert f"ConfigMap {seat}-develop/mine" in names_of(classroom, seat)
    bare = classroom.bare("bob")
    aside = bare.rename(bare.with_suffix(".aside"))
    try:
        answer = reset(classroom, "--all", check=False)
    finally:
        aside.rename(bare)
    assert answer["code"] == Exit.PARTIAL
    problems = "\n".join(answer["problems"])
    assert "1 of 3" in problems and "  bob: the repository" in problems
    for seat in ("ada", "eve"):
        assert heads[seat] in kept(classroom, seat).values()
        assert classroom.head(seat) == refs_of(classroom, seat)["refs/lab/start"]
        assert f"ConfigMap {seat}-develop/mine" not in names_of(classroom, seat)
    assert classroom.head("bob") == heads["bob"]
    assert reset(classroom, "bob")["code"] == Exit.OK


@pytest.mark.soak
def test_a_dry_run_says_what_would_be_done_and_does_nothing(
    classroom: Classroom, tmp_path: Path
) -> None:
    classroom.push(classroom.clone("ada", tmp_path))
    classroom.kubectl_as("ada", "create", "configmap", "mine")
    wait_until(
        lambda: classroom.head("ada") in kubectl(
            classroom, "-n", "lab-ada-sys", "get", "kustomization", "secrets-develop", "-o",
            "jsonpath={.status.lastAppliedRevision}",
        ),
        "Flux has applied it",
    )  # fmt: skip
    objects, refs = objects_of(classroom, "ada"), refs_of(classroom, "ada")
    answer = reset(classroom, "ada", "bob", "--dry-run")
    assert answer["changed"] == 0
    told = "; ".join(answer["plan"]["ada"])
    assert "1 commit of main kept on the branch saved/" in told
    assert "deleted: ConfigMap/mine" in told
    assert answer["plan"]["bob"] == []
    assert objects_of(classroom, "ada") == objects
    assert refs_of(classroom, "ada") == refs
    assert reset(classroom, "ada")["changed"] > 0


def test_a_learner_resets_the_repository_without_the_instructor(
    classroom: Classroom, tmp_path: Path
) -> None:
    before = {seat: objects_of(classroom, seat) for seat in OTHERS}
    clone = classroom.clone("ada", tmp_path)
    mine = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: pushed}\n"
    (clone / SECRETS / "pushed.yaml").write_text(mine)
    listed = clone / SECRETS / "kustomization.yaml"
    listed.write_text(f"{listed.read_text()}  - pushed.yaml\n")
    classroom.push(clone)
    head = classroom.head("ada")
    wait_until(lambda: "ConfigMap ada-develop/pushed" in names_of(classroom, "ada"), "it arrives")
    known = kept(classroom, "ada")

    said = run(["git", "push", "origin", "HEAD:reset"], cwd=clone).stderr
    classroom.announce("ada")

    start = refs_of(classroom, "ada")["refs/lab/start"]
    (branch,) = kept(classroom, "ada").keys() - known.keys()
    assert branch.removeprefix("refs/heads/") in said
    assert kept(classroom, "ada")[branch] == head
    assert "refs/heads/reset" not in refs_of(classroom, "ada")
    # Flux is told of the reset at once, and removes what is no longer in Git.
    wait_until(
        lambda: "ConfigMap ada-develop/pushed" not in names_of(classroom, "ada"), "it goes", 20
    )
    run(["git", "fetch", "--prune"], cwd=clone)
    run(["git", "reset", "--hard", "origin/main"], cwd=clone)
    assert run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip() == start
    assert {seat: objects_of(classroom, seat) for seat in OTHERS} == before


def test_nobody_but_its_learner_resets_a_repository(classroom: Classroom, tmp_path: Path) -> None:
    head = classroom.head("ada")
    clone = classroom.clone("bob", tmp_path)
    for remote in (classroom.url("ada"), replaced(classroom.url("ada"), "ada/lab", "platform")):
        pushed = run(["git", "push", remote, "HEAD:reset"], cwd=clone, check=False)
        assert pushed.returncode != 0 and "403" in pushed.stderr, pushed.stderr
    assert classroom.head("ada") == head
    pushed = run(["git", "push", "origin", "HEAD:refs/lab/start"], cwd=clone, check=False)
    assert pushed.returncode != 0 and "only branches" in pushed.stderr, pushed.stderr


@pytest.mark.soak
def test_the_labs_own_learner_is_reset_beside_the_class(classroom: Classroom) -> None:
    before = {seat: objects_of(classroom, seat) for seat in SEATS}
    work = Path(classroom.lab.settings.work_dir)
    start = classroom.lab.head()
    (work / "mine").write_text("not committed\n")
    kubectl(classroom, "--namespace", "develop", "create", "configmap", "mine")
    kubectl(classroom, "--namespace", "flux-system", "delete", "secret", "sops-age")
    kubectl(
        classroom, "--namespace", "flux-system", "patch", "kustomization", "secrets-develop",
        "--type=merge", '--patch={"spec": {"suspend": true}}',
    )  # fmt: skip
    answer = reset(classroom, "learner", "--to", "done")
    assert live_in(classroom, "develop", "backend-secrets")
    assert not (work / "mine").exists()
    assert any("1 file not committed, kept on" in one for one in classroom.lab.changes(answer))
    reset(classroom, "learner")
    assert classroom.lab.head() == start
    assert run(["git", "rev-parse", "HEAD"], cwd=work).stdout.strip() == start
    assert not live_in(classroom, "develop", "backend-secrets")
    assert "mine" not in kubectl(classroom, "-n", "develop", "get", "configmaps", "-o", "name")
    assert reset(classroom, "learner")["changed"] == 0
    assert {seat: objects_of(classroom, seat) for seat in SEATS} == before


def live_in(classroom: Classroom, namespace: str, secret: str) -> str:
    return kubectl(
        classroom, "--namespace", namespace, "get", "secret", secret, "--ignore-not-found",
        "--output", "name",
    )  # fmt: skip


@pytest.mark.soak
def test_two_resets_at_once_do_not_get_mixed_up(classroom: Classroom, tmp_path: Path) -> None:
    for seat in SEATS:
        classroom.push(classroom.clone(seat, tmp_path))
    before = objects_of(classroom, "eve")
    with held_up(classroom.lab, "reset", "ada") as first:
        second = reset(classroom, "bob", check=False)
    # The lock lets one of them work at a time; the second one is told so, and can try again.
    assert first.answer["code"] == Exit.OK
    assert second["code"] == Exit.LOCKED and str(first.holder) in second["problems"][0]
    reset(classroom, "bob")
    for seat in ("ada", "bob"):
        assert classroom.head(seat) == refs_of(classroom, seat)["refs/lab/start"]
    assert {
        name: mark for name, mark in objects_of(classroom, "eve").items() if name in before
    } == before
    reset(classroom, "eve")


@pytest.mark.soak
def test_a_reset_beside_an_up_is_refused_and_changes_nothing(
    classroom: Classroom, tmp_path: Path
) -> None:
    classroom.push(classroom.clone("ada", tmp_path))
    head = classroom.head("ada")
    with held_up(classroom.lab, "up") as run_beside:
        answer = reset(classroom, "ada", check=False)
    assert answer["code"] == Exit.LOCKED and str(run_beside.holder) in answer["problems"][0]
    assert classroom.head("ada") == head
    assert run_beside.answer["code"] == Exit.OK
    reset(classroom, "ada")
    assert classroom.head("ada") == refs_of(classroom, "ada")["refs/lab/start"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nobody"], "there is no environment of nobody"),
        ([], "--all"),
        (["--all", "ada"], "--all goes without IDs"),
        (["Ada"], "'Ada' is refused"),
    ],
)
def test_who_is_not_there_is_refused(classroom: Classroom, arguments: list[str], said: str) -> None:
    answer = reset(classroom, *arguments, check=False)
    assert answer["code"] == Exit.INPUT
    assert said in answer["problems"][0]
