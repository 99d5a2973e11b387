"""The Git server in a cluster that somebody made by hand: pushed, pulled, kept through `down`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.config.naming import git_namespace
from sopslab.config.places import FLUX
from sopslab.errors import Exit
from sopslab.lab.tools.git import login_helper
from tests.cluster.content import kubectl
from tests.cluster.git_in_pod import lab_with_git_in_cluster, registry_in_nodes
from tests.cluster.hand_made import as_instructor, identities, users_kubectl
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.learner import FILE, Learner
from tests.cluster.test_rotate import assert_whole, rotate
from tests.cluster.test_support import contents
from tests.rights import roles

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

SOMEBODY_ELSES = "eve-production"


@pytest.fixture(scope="module")
def owned(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab whose Git server is to be in the cluster, with the rights of the cluster's owner."""
    folder = tmp_path_factory.mktemp("git-in-cluster")
    with lab_with_git_in_cluster(lab_name("git-pod"), folder) as lab:
        yield lab


@pytest.fixture(scope="module")
def cluster(owned: Lab) -> Lab:
    """The same lab, with an account that has only the rights that docs/clusters.md asks for."""
    of_any, _, with_git = roles()
    return as_instructor(owned, [of_any, with_git])


def main(lab: Lab) -> str:
    """Return the commit of main on the server, as the learner sees it."""
    return run(
        ["git", "ls-remote", "origin", "refs/heads/main"], cwd=Path(lab.settings.work_dir)
    ).stdout


def test_without_an_image_in_the_registry_nothing_is_made(cluster: Lab) -> None:
    words = users_kubectl(cluster)
    before = identities(words, cluster)
    answer = cluster.up(check=False)
    assert answer["code"] == Exit.GIT
    assert "sopslab images push" in answer["problems"][-1]
    assert identities(words, cluster) == before


def test_it_is_pushed_once(cluster: Lab) -> None:
    assert json.loads(cluster.sopslab("images", "push", "--json").stdout)["changed"] >= 1
    assert json.loads(cluster.sopslab("images", "push", "--json").stdout)["changed"] == 0
    registry_in_nodes(cluster)


def test_the_lab_comes_up_on_it_and_a_second_run_changes_nothing(
    cluster: Lab, tmp_path: Path
) -> None:
    assert cluster.up()["changed"] > 0
    expected, live = cluster.canary_digests(tmp_path)
    assert live == expected
    answer = cluster.up()
    assert (answer["changed"], cluster.changes(answer)) == (0, [])
    assert cluster.sopslab("status", check=False).returncode == Exit.OK


def test_the_gate_and_the_policy_are_those_of_the_embedded_server(
    cluster: Lab, tmp_path: Path
) -> None:
    learner = Learner(cluster, cluster.learner(tmp_path))
    (learner.work / "flux" / "secrets" / "develop" / "plain.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {password: hunter2}\n"
    )
    # Without a login nobody is let in, and Flux's may not push.
    without = {**cluster.environment, "GIT_TERMINAL_PROMPT": "0"}
    stranger = ["git", "-c", "credential.helper="]
    asked = run([*stranger, "ls-remote", "origin"], without, learner.work, check=False)
    assert asked.returncode != 0 and "could not read Username" in asked.stderr, asked.stderr
    flux = [*stranger, "-c", f"credential.helper={login_helper(cluster.settings.login_file(FLUX))}"]
    run([*flux, "ls-remote", "origin"], without, learner.work)
    pushed = run([*flux, "push", "origin", "HEAD:main"], without, learner.work, check=False)
    assert pushed.returncode != 0 and "403" in pushed.stderr, pushed.stderr
    run(["git", "add", "--all"], cwd=learner.work)
    run(["git", "commit", "--no-verify", "--quiet", "--message", "Add it"], cwd=learner.work)
    refused = run(["git", "push", "origin", "HEAD:main"], cwd=learner.work, check=False)
    assert refused.returncode != 0
    assert "plain.yaml" in refused.stderr
    run(["git", "reset", "--quiet", "--hard", "origin/main"], cwd=learner.work)
    learner.finish()
    run(["git", "cat-file", "-e", f"origin/main:{FILE}"], cwd=learner.work)


def push_notes(work: Path, text: str) -> None:
    (work / "notes.md").write_text(text)
    run(["git", "add", "notes.md"], cwd=work)
    run(["git", "commit", "--quiet", "--message", "Take notes"], cwd=work)
    run(["git", "push", "--quiet"], cwd=work)


def test_flux_is_told_of_a_push(cluster: Lab, tmp_path: Path) -> None:
    work = cluster.learner(tmp_path)
    push_notes(work, "mine\n")
    head = run(["git", "rev-parse", "HEAD"], cwd=work).stdout.strip()
    # Without being told, Flux looks once a minute.
    wait_until(lambda: cluster.flux_applied(head), "Flux has applied the push", 20)
    run(["git", "pull", "--quiet"], cwd=Path(cluster.settings.work_dir))


def test_keys_and_passwords_are_replaced_there(cluster: Lab) -> None:
    account = Path(cluster.settings.account_dir("learner"), "password")
    password, recipient = account.read_text(), cluster.recipient()
    rotate(cluster, "git-credential")
    assert account.read_text() != password
    rotate(cluster, "learner-key")
    assert cluster.recipient() != recipient
    assert_whole(cluster)


def test_a_learner_puts_the_repository_back_by_a_push(cluster: Lab, tmp_path: Path) -> None:
    cluster.sopslab("reset", "--json")
    before = main(cluster)
    work = cluster.learner(tmp_path)
    push_notes(work, "not mine\n")
    assert main(cluster) != before
    said = run(["git", "push", "origin", "HEAD:reset"], cwd=work).stderr
    assert "back at the checkpoint start" in said
    assert main(cluster) == before
    assert json.loads(cluster.sopslab("reset", "--json").stdout)["ok"]


def test_a_fault_is_injected_named_and_undone(cluster: Lab) -> None:
    cluster.sopslab("reset", "--to", "done", "--json")
    for words, named in ((("break", "wrong-key"), True), (("fix",), False)):
        assert json.loads(cluster.sopslab(*words, "--json").stdout)["ok"]
        found = json.loads(cluster.sopslab("doctor", "--json", check=False).stdout)
        assert ("wrong-key" in [cause["id"] for cause in found["causes"]]) is named


def test_a_report_has_what_the_cluster_says(cluster: Lab, tmp_path: Path) -> None:
    path = tmp_path / "report.tar.gz"
    answer = json.loads(cluster.sopslab("support", "--json", "--output", str(path)).stdout)
    assert answer["missing"] == []
    files = contents(path)
    said = b"\n".join(text for name, text in files.items() if name.startswith(("clu", "flux/")))
    assert b"instructors:instructor" not in said
    assert b"git-0" in files["cluster/git.txt"]
    assert json.loads(files["status.json"])["up"]


def test_what_was_pushed_survives_the_pod_and_down(cluster: Lab, owned: Lab) -> None:
    before = main(cluster)
    assert before
    space = ("--namespace", git_namespace(cluster.name))
    kubectl(owned, *space, "delete", "pod", "git-0")
    cluster.up()
    assert main(cluster) == before

    assert json.loads(cluster.sopslab("down", "--json").stdout)["ok"]
    kinds = "persistentvolumeclaims,statefulsets,services,secrets"
    left = kubectl(owned, *space, "get", kinds, "--output=name").split()
    assert left == ["persistentvolumeclaim/repositories-git-0"]
    assert "flux-system" not in kubectl(owned, "get", "namespaces", "--output=name")
    cluster.up()
    assert main(cluster) == before


def test_while_others_use_the_labs_flux_a_purge_takes_nothing(cluster: Lab, owned: Lab) -> None:
    before = main(cluster)
    theirs = {
        "apiVersion": "source.toolkit.fluxcd.io/v1",
        "kind": "GitRepository",
        "metadata": {"name": "theirs", "namespace": SOMEBODY_ELSES},
        "spec": {"url": "https://git.invalid/theirs", "interval": "1h", "suspend": True},
    }
    kubectl(owned, "create", "namespace", SOMEBODY_ELSES)
    try:
        create = [*users_kubectl(owned), "create", "--filename", "-"]
        run(create, env=owned.environment, stdin=json.dumps(theirs))
        done = cluster.sopslab("down", "--purge", "--yes", "--json", check=False)
        assert done.returncode == Exit.CLUSTER
        assert f"GitRepository {SOMEBODY_ELSES}/theirs" in json.loads(done.stdout)["problems"][-1]
        assert main(cluster) == before
        answer = cluster.up()
        assert (answer["changed"], cluster.changes(answer)) == (0, [])
    finally:
        kubectl(owned, "delete", "namespace", SOMEBODY_ELSES)


def test_a_server_that_the_lab_file_no_longer_names_goes_as_well(
    cluster: Lab, owned: Lab, tmp_path: Path
) -> None:
    data = {key: value for key, value in cluster.data.items() if key != "git_in_cluster"}
    without = Lab(cluster.name, tmp_path, data)
    assert json.loads(without.sopslab("down", "--json").stdout)["ok"]
    kinds = ("get", "persistentvolumeclaims,statefulsets", "--output=name")
    left = kubectl(owned, "--namespace", git_namespace(cluster.name), *kinds).split()
    assert left == ["persistentvolumeclaim/repositories-git-0"]


def test_a_purge_takes_the_repositories_too(cluster: Lab, owned: Lab) -> None:
    cluster.purge()
    assert git_namespace(cluster.name) not in kubectl(owned, "get", "namespaces", "--output=name")
