"""A class on a cluster that somebody made by hand: each learner gets what they get on the lab's own
cluster, and nothing is left when the class goes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.lab.observe.ownership import cluster_id, lab_id
from sopslab.lab.tools.kubectl import Kubectl
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.content import await_content, content, kubectl
from tests.cluster.diagnosis import diagnosed
from tests.cluster.hand_made import (
    CONTEXT,
    CONTROL_PLANE,
    as_instructor,
    lab_on_three_nodes,
    users_kubectl,
)
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.namesake import leave, namesake, refusals
from tests.cluster.test_support import contents
from tests.rights import roles

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

SOMEBODY_ELSES = "eve-production"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab on a cluster that has another tenant already."""
    folder = tmp_path_factory.mktemp("existing-class")
    with lab_on_three_nodes(lab_name("existing-class"), folder) as made:
        # Labelled as another Flux and another lab would label their objects.
        kubectl(made, "create", "namespace", SOMEBODY_ELSES)
        kubectl(made, "create", "clusterrole", SOMEBODY_ELSES, "--verb=get", "--resource=pods")
        for what in ("namespace", "clusterrole"):
            kubectl(
                made, "label", what, SOMEBODY_ELSES, "sops-lab=another",
                "kustomize.toolkit.fluxcd.io/name=flux-system",
            )  # fmt: skip
        yield made


@pytest.fixture(scope="module")
def instructor(shared: Lab) -> Lab:
    """The same lab, with an account that has only the rights that docs/clusters.md asks for."""
    of_any, of_a_class, _ = roles()
    return as_instructor(shared, [of_any, of_a_class])


@pytest.fixture(scope="module")
def before(shared: Lab, instructor: Lab) -> dict[str, str]:
    """What the cluster held before the class."""
    assert instructor
    return content(shared)


@pytest.fixture(scope="module")
def elsewhere(instructor: Lab, before: dict[str, str]) -> Classroom:
    """A class on that lab."""
    assert before
    made = Classroom(instructor)
    made.up()
    return made


def changes(answer: dict[str, Any]) -> list[str]:
    return [change for step in answer["steps"] for change in step["changes"]]


def told(elsewhere: Classroom, *words: str, check: bool = True) -> dict[str, Any]:
    """Return what a verb says as JSON."""
    done = elsewhere.lab.sopslab(*words, "--json", check=False)
    assert done.stdout, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    assert not check or done.returncode == 0, (answer.get("problems"), answer.get("log"))
    return answer


def test_every_learner_has_a_secret_and_gets_at_it(elsewhere: Classroom) -> None:
    for seat in SEATS:
        assert elsewhere.has_canary(seat)
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


def test_whoever_may_edit_a_namespace_has_no_right_to_this_flux(
    elsewhere: Classroom, shared: Lab
) -> None:
    assert elsewhere
    here = ("--namespace", SOMEBODY_ELSES)
    given = ("rolebinding", "editor", "--clusterrole=admin", "--user=mallory")

    def may(verb: str, kind: str) -> str:
        asked = ("auth", "can-i", verb, kind, "--as=mallory")
        return run([*users_kubectl(shared), *here, *asked], shared.environment, check=False).stdout

    kubectl(shared, *here, "create", *given)
    try:
        wait_until(lambda: may("create", "configmaps").strip() == "yes", "mallory may edit")
        for verb in ("create", "get"):
            assert may(verb, "gitrepositories.source.toolkit.fluxcd.io").strip() == "no"
    finally:
        kubectl(shared, *here, "delete", *given[:2])


def test_a_report_tells_nothing_of_others(
    elsewhere: Classroom, shared: Lab, tmp_path: Path
) -> None:
    here = ("--namespace", SOMEBODY_ELSES)
    path = tmp_path / "report.tar.gz"
    kubectl(shared, *here, "create", "secret", "generic", "theirs", "--from-literal=a=opensesame")
    try:
        assert told(elsewhere, "support", "--output", str(path))["missing"] == []
    finally:
        kubectl(shared, *here, "delete", "secret", "theirs")
    files = contents(path)
    assert b"lab-ada-sys/sops-age" in files["cluster/secrets.txt"]
    assert b"kube-system" not in files["cluster/pods.txt"]
    assert SOMEBODY_ELSES.encode() not in b"\n".join(files.values())


def test_another_lab_of_the_same_name_is_refused_and_takes_nothing_out(
    elsewhere: Classroom, shared: Lab, tmp_path: Path
) -> None:
    before = content(shared)
    other = namesake(shared, tmp_path)
    said = "\n".join(refusals(other, ["ada"]))
    assert "the Flux of another lab of the same name" in said
    for namespace in (seat_namespace("ada"), seat_system_namespace("ada")):
        assert re.search(rf"these namespaces, .* {namespace}\b", said)
    assert "of another class, which this lab did not make: ClusterRole sops-lab-learner" in said
    leave(other)
    await_content(shared, before)
    assert elsewhere.lab.sopslab("status", check=False).returncode == 0


LABELLED = (
    "namespaces", "clusterroles", "clusterrolebindings", "customresourcedefinitions",
    "validatingadmissionpolicies", "validatingadmissionpolicybindings",
)  # fmt: skip


def ids(shared: Lab) -> set[str]:
    """Return the ids that the lab's objects carry, "" for an object without an id."""
    chosen = ("--selector", f"sops-lab={shared.name}", "--output")
    form = "jsonpath={range .items[*]}{.metadata.labels.sops-lab/id}{'\\n'}{end}"
    return set(kubectl(shared, "get", ",".join(LABELLED), *chosen, form).split("\n")[:-1])


def test_a_lab_from_before_ids_gets_one_and_its_objects_do(
    elsewhere: Classroom, shared: Lab
) -> None:
    machine = elsewhere.lab.settings.for_machine
    former = lab_id(machine)
    assert ids(shared) == {former}
    Path(machine.clusters_file).write_text(json.dumps([cluster_id(Kubectl(machine))]))
    Path(machine.id_file).unlink()
    for kind in LABELLED:
        kubectl(shared, "label", kind, "--selector", f"sops-lab={shared.name}", "sops-lab/id-")
    elsewhere.up()
    given = lab_id(machine)
    assert given not in (None, former)
    wait_until(lambda: ids(shared) == {given}, "everything carries the new id", 120)
    assert changes(elsewhere.up()) == []


def test_a_push_of_a_learner_arrives_without_anybody_telling_flux(
    elsewhere: Classroom, tmp_path: Path
) -> None:
    clone = elsewhere.clone("bob", tmp_path)
    (clone / "notes.md").write_text("mine\n")
    elsewhere.commit(clone)
    run(["git", "push", "--quiet"], cwd=clone)
    head = run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip()
    wait_until(lambda: elsewhere.has_fetched("bob", head), "Flux sees what was pushed", 100)


def test_one_is_put_back_and_nobody_else(elsewhere: Classroom) -> None:
    space = ("--namespace", seat_namespace("ada"))
    before = elsewhere.canary_digest("bob")
    elsewhere.lab.kubectl(*space, "create", "configmap", "mess")
    elsewhere.lab.kubectl("delete", "namespace", seat_system_namespace("ada"))
    told(elsewhere, "reset", "ada")
    assert elsewhere.has_canary("ada")
    assert "mess" not in elsewhere.lab.kubectl(*space, "get", "configmaps", "--output", "name")
    assert elsewhere.canary_digest("bob") == before != ""


def test_what_is_broken_is_named_and_fixed(elsewhere: Classroom) -> None:
    told(elsewhere, "reset", "ada", "--to", "done")
    told(elsewhere, "break", "wrong-key", "ada")
    assert diagnosed(elsewhere.lab, "ada") == ["wrong-key"]
    told(elsewhere, "fix", "ada")
    assert diagnosed(elsewhere.lab, "ada") == []


def test_a_key_that_leaked_is_replaced(elsewhere: Classroom) -> None:
    recipient, value = elsewhere.lab.recipient("bob"), elsewhere.canary_digest("bob")
    told(elsewhere, "rotate", "learner-key", "bob")
    assert elsewhere.lab.recipient("bob") != recipient
    assert elsewhere.has_canary("bob")
    assert elsewhere.canary_digest("bob") != value


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
    assert elsewhere.has_canary("kai")


def test_it_goes_and_leaves_the_cluster_as_it_was(
    elsewhere: Classroom, shared: Lab, before: dict[str, str]
) -> None:
    settings = elsewhere.lab.settings
    keys = {path.name for path in Path(settings.keys_dir).iterdir()}
    assert told(elsewhere, "down")["ok"]
    await_content(shared, before)
    assert not Path(settings.lab_kubeconfig).exists()
    assert {path.name for path in Path(settings.keys_dir).iterdir()} == keys
    again = told(elsewhere, "down")
    assert (again["ok"], again["changed"]) == (True, 0)


def test_it_goes_as_well_where_flux_does_not_answer(
    elsewhere: Classroom, shared: Lab, before: dict[str, str]
) -> None:
    elsewhere.up()
    kubectl(shared, "--namespace", "flux-system", "delete", "deployments", "--all")
    assert told(elsewhere, "down")["ok"]
    await_content(shared, before)


def remove_flux_namespace(shared: Lab) -> None:
    """Delete the namespace of Flux by hand, and wait until it is gone. Its controllers end before
    that, so that they prune nothing; nothing of it then waits for them."""
    space = ("--namespace", "flux-system")
    # The deployments are gone when their pods are.
    kubectl(
        shared, *space, "delete", "deployments", "--all", "--cascade=foreground", "--timeout=120s"
    )
    kinds = ("kustomizations.kustomize", "gitrepositories.source", "receivers.notification")
    for kind in kinds:
        listing = ("get", f"{kind}.toolkit.fluxcd.io", "--output=name")
        for name in kubectl(shared, *space, *listing).split():
            patch = ("--type=merge", "--patch", '{"metadata":{"finalizers":[]}}')
            kubectl(shared, *space, "patch", name, *patch)
    kubectl(shared, "delete", "namespace", "flux-system", "--timeout=120s")


def kinds_of_flux(shared: Lab) -> list[str]:
    listed = kubectl(shared, "get", "customresourcedefinitions", "--output=name").split()
    return [one for one in listed if one.endswith(".toolkit.fluxcd.io")]


def test_a_flux_whose_namespace_was_deleted_is_made_again(
    elsewhere: Classroom, shared: Lab, tmp_path: Path
) -> None:
    elsewhere.up()
    remove_flux_namespace(shared)
    assert len(kinds_of_flux(shared)) == 10
    # Another lab of the same name does not take what is left for its own.
    other = namesake(shared, tmp_path)
    assert "the Flux of another lab of the same name" in "\n".join(refusals(other, ["ada"]))
    leave(other)
    assert len(kinds_of_flux(shared)) == 10
    assert changes(elsewhere.up())
    for seat in SEATS:
        assert elsewhere.has_canary(seat)
        own = elsewhere.kubectl_as(seat, "get", "secret", "lab-canary", "--output", "name")
        assert own.stdout.strip() == "secret/lab-canary"
    assert changes(elsewhere.up()) == []
    assert elsewhere.lab.sopslab("status", check=False).returncode == 0


def test_what_is_left_of_a_flux_whose_namespace_was_deleted_goes(
    elsewhere: Classroom, shared: Lab, before: dict[str, str]
) -> None:
    elsewhere.up()
    remove_flux_namespace(shared)
    assert told(elsewhere, "down")["ok"]
    await_content(shared, before)
    again = told(elsewhere, "down")
    assert (again["ok"], again["changed"]) == (True, 0)


@pytest.mark.parametrize("where", ["flux-system", "gitops"])
def test_a_flux_that_somebody_has_installed_since_stays_whole(
    elsewhere: Classroom, shared: Lab, before: dict[str, str], where: str
) -> None:
    elsewhere.up()
    remove_flux_namespace(shared)
    flux = str(Path(elsewhere.lab.settings.bin_dir, "flux"))
    theirs = run([flux, "install", "--export", "--namespace", where]).stdout

    def of_theirs(verb: str, *options: str) -> str:
        """Return what kubectl says of the objects of their Flux."""
        words = [*users_kubectl(shared), verb, *options, "--filename", "-"]
        return run(words, env=shared.environment, stdin=theirs).stdout

    of_theirs("apply", "--server-side", "--force-conflicts")
    try:
        uids = ("get", "--output=jsonpath={.items[*].metadata.uid}")
        whole = of_theirs(*uids)
        refused = elsewhere.up(check=False)
        assert "a Flux that this lab did not install" in "\n".join(refused["problems"])
        assert told(elsewhere, "down")["ok"]
        assert of_theirs(*uids) == whole
        assert seat_namespace("ada") not in kubectl(shared, "get", "namespaces", "--output=name")
        # The binding to all rights stays only where it has become theirs.
        bindings = kubectl(shared, "get", "clusterrolebindings", "--output=name")
        assert ("cluster-reconciler-flux-system" in bindings) is (where == "flux-system")
        again = told(elsewhere, "down")
        assert (again["ok"], again["changed"]) == (True, 0)
    finally:
        of_theirs("delete", "--ignore-not-found")
    await_content(shared, before)


def test_a_cluster_that_does_not_answer_costs_nothing_but_a_sentence(
    elsewhere: Classroom, shared: Lab, before: dict[str, str]
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
    await_content(shared, before)
