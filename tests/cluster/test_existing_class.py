"""A class on a cluster that somebody made by hand: what each learner gets there is what they get on
the lab's own, and nothing of it is left when it goes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.naming import seat_namespace, seat_system_namespace
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.hand_made import CONTEXT, CONTROL_PLANE, lab_on_three_nodes, users_kubectl
from tests.cluster.lab import Lab, lab_name, run, wait_until

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

# What the cluster itself makes, renews and forgets.
PASSING = {"events", "events.events.k8s.io", "leases.coordination.k8s.io"}
SOMEBODY_ELSES = "eve-production"


def kubectl(lab: Lab, *arguments: str) -> str:
    """Return what kubectl prints for the cluster's owner."""
    return run([*users_kubectl(lab), *arguments], env=lab.environment).stdout


def content(lab: Lab) -> dict[str, str]:
    """Return the uid of each object of the cluster, of every kind that it lists."""
    kinds = kubectl(lab, "api-resources", "--verbs=list,get", "--output=name").split()
    wanted = ",".join(kind for kind in kinds if kind not in PASSING)
    form = (
        "jsonpath={range .items[*]}{.kind} {.metadata.namespace}/{.metadata.name}"
        " {.metadata.uid}{'\\n'}{end}"
    )
    said = kubectl(lab, "get", wanted, "--all-namespaces", "--output", form)
    return dict(line.rsplit(" ", 1) for line in said.splitlines())


def await_content(lab: Lab, wanted: dict[str, str]) -> None:
    """Wait until the cluster holds these objects and no other: it takes away by itself what belongs
    to something that is gone."""
    found: dict[str, str] = {}

    def is_wanted() -> bool:
        found.clear()
        found.update(content(lab))
        return found == wanted

    try:
        wait_until(is_wanted, "the cluster is as before")
    except AssertionError:
        assert found == wanted


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab on a cluster in which another tenant is already."""
    folder = tmp_path_factory.mktemp("existing-class")
    with lab_on_three_nodes(lab_name("existing-class"), folder) as made:
        # Another Flux would have marked it so, and another lab.
        kubectl(made, "create", "namespace", SOMEBODY_ELSES)
        kubectl(made, "create", "clusterrole", SOMEBODY_ELSES, "--verb=get", "--resource=pods")
        for what in ("namespace", "clusterrole"):
            kubectl(
                made, "label", what, SOMEBODY_ELSES, "sops-lab=another",
                "kustomize.toolkit.fluxcd.io/name=flux-system",
            )  # fmt: skip
        yield made


@pytest.fixture(scope="module")
def before(shared: Lab) -> dict[str, str]:
    """What the cluster held before the class."""
    return content(shared)


@pytest.fixture(scope="module")
def elsewhere(shared: Lab, before: dict[str, str]) -> Classroom:
    """A class on it."""
    assert before
    made = Classroom(shared)
    made.up()
    return made


def changes(answer: dict[str, Any]) -> list[str]:
    return [change for step in answer["steps"] for change in step["changes"]]


def canary(elsewhere: Classroom, seat: str) -> str:
    """Return what the cluster has of a seat's canary, in base64."""
    return elsewhere.lab.kubectl(
        "--namespace", seat_namespace(seat), "get", "secret", "lab-canary",
        "--ignore-not-found", "--output", "jsonpath={.data.value}",
    )  # fmt: skip


def told(elsewhere: Classroom, *words: str, check: bool = True) -> dict[str, Any]:
    """Return what a verb says as JSON."""
    done = elsewhere.lab.sopslab(*words, "--json", check=False)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert not check or done.returncode == 0, (answer.get("problems"), answer.get("log"))
    return answer


def test_every_learner_has_a_secret_and_gets_at_it(elsewhere: Classroom) -> None:
    for seat in SEATS:
        assert canary(elsewhere, seat)
        own = elsewhere.kubectl_as(seat, "get", "secret", "lab-canary", "--output", "name")
        assert own.stdout.strip() == "secret/lab-canary"
        other = seat_namespace(SEATS[SEATS.index(seat) - 1])
        refused = elsewhere.kubectl_as(seat, "get", "pods", "--namespace", other, check=False)
        assert "forbidden" in refused.stderr


def test_a_second_run_changes_nothing(elsewhere: Classroom) -> None:
    assert changes(elsewhere.up()) == []


def test_the_lab_is_well(elsewhere: Classroom) -> None:
    done = elsewhere.lab.sopslab("status", "--json", check=False)
    assert done.returncode == 0, done.stdout


def test_a_push_of_a_learner_arrives_without_anybody_telling_flux(
    elsewhere: Classroom, tmp_path: Path
) -> None:
    clone = elsewhere.clone("bob", tmp_path)
    (clone / "notes.md").write_text("mine\n")
    elsewhere.commit(clone)
    run(["git", "push", "--quiet"], cwd=clone)
    head = run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip()

    def applied() -> bool:
        return head in elsewhere.lab.kubectl(
            "--namespace", seat_system_namespace("bob"), "get", "gitrepository", "lab",
            "--output", "jsonpath={.status.artifact.revision}",
        )  # fmt: skip

    wait_until(applied, "Flux sees what was pushed", 100)


def test_flux_reaches_the_api_server_and_the_git_server_and_no_more(elsewhere: Classroom) -> None:
    policies = json.loads(
        elsewhere.lab.kubectl("--namespace", "flux-system", "get", "netpol", "--output", "json")
    )["items"]
    ports = {
        port["port"]
        for one in policies
        for rule in one["spec"].get("egress") or ()
        if "to" not in rule
        for port in rule["ports"]
    }
    assert ports == {6443, elsewhere.lab.settings.git_port}


def test_one_is_put_back_and_nobody_else(elsewhere: Classroom) -> None:
    space = ("--namespace", seat_namespace("ada"))
    before = canary(elsewhere, "bob")
    elsewhere.lab.kubectl(*space, "create", "configmap", "mess")
    elsewhere.lab.kubectl("delete", "namespace", seat_system_namespace("ada"))
    told(elsewhere, "reset", "ada")
    assert canary(elsewhere, "ada")
    assert "mess" not in elsewhere.lab.kubectl(*space, "get", "configmaps", "--output", "name")
    assert canary(elsewhere, "bob") == before


def test_what_is_broken_is_named_and_fixed(elsewhere: Classroom) -> None:
    told(elsewhere, "reset", "ada", "--to", "done")
    told(elsewhere, "break", "wrong-key", "ada")
    found = told(elsewhere, "doctor", "ada", check=False)
    assert "wrong-key" in json.dumps(found)
    told(elsewhere, "fix", "ada")
    assert "wrong-key" not in json.dumps(told(elsewhere, "doctor", "ada", check=False))


def test_a_key_that_leaked_is_replaced(elsewhere: Classroom) -> None:
    recipient = elsewhere.lab.recipient("bob")
    told(elsewhere, "rotate", "learner-key", "bob")
    assert elsewhere.lab.recipient("bob") != recipient
    assert canary(elsewhere, "bob")


def test_access_that_was_replaced_is_refused(elsewhere: Classroom, tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.write_bytes(elsewhere.kubeconfig("eve").read_bytes())
    assert elsewhere.pods_with(old).returncode == 0
    told(elsewhere, "reissue", "eve")
    refused = elsewhere.pods_with(old)
    assert refused.returncode != 0
    assert "Forbidden" in refused.stderr or "Unauthorized" in refused.stderr
    assert elsewhere.pods_with(elsewhere.kubeconfig("eve")).returncode == 0


def test_a_learner_who_joins_gets_a_seat_of_their_own(elsewhere: Classroom) -> None:
    elsewhere.up(ids=(*SEATS, "kai"))
    assert canary(elsewhere, "kai")


def test_it_goes_and_leaves_the_cluster_as_it_was(
    elsewhere: Classroom, before: dict[str, str]
) -> None:
    settings = elsewhere.lab.settings
    keys = {path.name for path in Path(settings.keys_dir).iterdir()}
    assert told(elsewhere, "down")["ok"]
    await_content(elsewhere.lab, before)
    assert not Path(settings.lab_kubeconfig).exists()
    assert {path.name for path in Path(settings.keys_dir).iterdir()} == keys
    again = told(elsewhere, "down")
    assert (again["ok"], again["changed"]) == (True, 0)


def test_it_goes_as_well_where_flux_does_not_answer(
    elsewhere: Classroom, before: dict[str, str]
) -> None:
    elsewhere.up()
    kubectl(elsewhere.lab, "--namespace", "flux-system", "delete", "deployments", "--all")
    assert told(elsewhere, "down")["ok"]
    await_content(elsewhere.lab, before)


def test_a_cluster_that_does_not_answer_costs_nothing_but_a_sentence(
    elsewhere: Classroom, before: dict[str, str]
) -> None:
    elsewhere.up()
    settings = elsewhere.lab.settings
    run(["docker", "pause", CONTROL_PLANE])
    try:
        answer = told(elsewhere, "down")
    finally:
        run(["docker", "unpause", CONTROL_PLANE])
    assert answer["ok"]
    assert f"the cluster of the context {CONTEXT} does not answer" in json.dumps(answer)
    assert Path(settings.lab_kubeconfig).exists()
    assert Path(settings.keys_dir, "ada.agekey").exists()
    assert told(elsewhere, "down")["ok"]
    await_content(elsewhere.lab, before)
