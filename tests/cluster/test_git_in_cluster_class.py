"""A class whose Git server is in a cluster that somebody made by hand: each learner gets the same
as from the server on this machine, and the repositories stay when the class goes."""

from __future__ import annotations

import json
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sopslab.config.naming import git_namespace, seat_namespace
from sopslab.errors import Exit
from sopslab.lab.tools.git import login_helper
from tests.cluster.classroom import Classroom
from tests.cluster.content import kubectl
from tests.cluster.diagnosis import diagnosed
from tests.cluster.git_in_pod import (
    PORT,
    address_of_node,
    lab_with_git_in_cluster,
    registry_in_nodes,
)
from tests.cluster.hand_made import CONTROL_PLANE, as_instructor, enforce_policies
from tests.cluster.isolation.hostile import Hostile, pod
from tests.cluster.lab import lab_name, run, wait_until
from tests.cluster.test_existing_class import changes, told
from tests.cluster.traffic import Place, Target, Traffic
from tests.rights import roles

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

SEATS = ("ada", "bob")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A class of two, with an account that has only the rights that docs/clusters.md asks for."""
    folder = tmp_path_factory.mktemp("git-class")
    with lab_with_git_in_cluster(lab_name("git-class"), folder) as lab:
        enforce_policies(lab)
        lab.sopslab("images", "push")
        registry_in_nodes(lab)
        made = Classroom(as_instructor(lab, roles()))
        made.up(ids=SEATS)
        yield made


def main(served: Classroom, seat: str) -> str:
    """Return the commit of main on the server, as the learner sees it."""
    words = [*served.trust, *served.login(seat), "ls-remote", served.url(seat), "refs/heads/main"]
    return run(["git", *words]).stdout.partition("\t")[0]


def fetched(served: Classroom, seat: str, path: str) -> str:
    """Return what the server hands out to a learner."""
    settings = served.lab.settings
    account = Path(settings.account_dir(seat))
    passwords = urllib.request.HTTPPasswordMgrWithDefaultRealm()
    login = ((account / name).read_text().strip() for name in ("username", "password"))
    passwords.add_password(None, settings.git_base_url, *login)
    opener = urllib.request.build_opener(
        urllib.request.HTTPBasicAuthHandler(passwords),
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=settings.git_ca)),
        urllib.request.ProxyHandler({}),
    )
    with opener.open(f"{settings.git_base_url}{path}", timeout=10) as answer:
        return str(answer.read().decode())


def test_every_learner_has_a_secret_and_fetches_what_is_theirs(served: Classroom) -> None:
    for seat in SEATS:
        assert served.has_canary(seat)
        assert fetched(served, seat, "/~/kubeconfig") == served.kubeconfig(seat).read_text()
        assert f"Learner {seat}" in fetched(served, seat, "/~/")
    assert served.lab.sopslab("cards", check=False).returncode == Exit.OK


def test_a_second_run_changes_nothing_and_the_lab_is_well(served: Classroom) -> None:
    assert changes(served.up(ids=SEATS)) == []
    done = served.lab.sopslab("status", "--json", check=False)
    assert done.returncode == 0, done.stdout


def test_a_push_is_judged_and_flux_is_told_of_it(served: Classroom, tmp_path: Path) -> None:
    clone = served.clone("bob", tmp_path)
    plain = clone / "flux" / "secrets" / "develop" / "plain.yaml"
    plain.write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: plain}\nstringData: {password: hunter2}\n"
    )
    refused = served.push(clone, "origin", "HEAD:main", check=False)
    assert refused.returncode != 0
    assert "plain.yaml" in refused.stderr
    run(["git", "reset", "--quiet", "--hard", "origin/main"], cwd=clone)

    (clone / "notes.md").write_text("mine\n")
    served.commit(clone)
    run(["git", "push", "--quiet"], cwd=clone)
    head = run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip()
    # Without being told, Flux looks every five minutes.
    wait_until(lambda: served.has_fetched("bob", head), "Flux sees what was pushed", 30)


def test_nobody_reads_the_repository_of_another(served: Classroom) -> None:
    words = [*served.trust, *served.login("bob"), "ls-remote", served.url("ada")]
    assert "403" in run(["git", *words], check=False).stderr


def test_a_pod_of_a_seat_does_not_reach_the_server(served: Classroom, tmp_path: Path) -> None:
    traffic, ada = Traffic(served.lab), Hostile(served, "ada", tmp_path)
    space = git_namespace(served.lab.name)
    ada.create(pod("attacker"))
    try:
        ada.kubectl("wait", "--for=condition=Ready", "pod/attacker", "--timeout=90s")
        server = served.lab.kubectl(
            "--namespace", space, "get", "pod", "git-0", "--output", "jsonpath={.status.podIP}"
        )
        node = Place(CONTROL_PLANE)
        targets = {
            "its pod": Target(f"https://{server}:8080/", node),
            "its Service": Target(f"https://{traffic.service(space, 'git')}:8080/", node),
            "its port on the node": Target(f"https://{address_of_node()}:{PORT}/", node),
        }
        assert traffic.unseen(targets) == set()
        attacker = traffic.pod(seat_namespace("ada"), "attacker")
        reached = {name for name, one in targets.items() if traffic.reaches(one.url, attacker)}
        assert reached == set()
    finally:
        ada.kubectl("delete", "pod", "attacker", "--wait=false")


def test_a_learner_asks_for_help_and_is_helped(served: Classroom, tmp_path: Path) -> None:
    clone = served.clone("ada", tmp_path)
    said = run(["git", "push", "origin", "HEAD:help"], cwd=clone).stderr
    assert "Your instructor sees now that you ask for help" in said

    def asking() -> list[str]:
        rows = json.loads(served.lab.sopslab("status", "--json", check=False).stdout)["class"]
        return [row["seat"] for row in rows if row["asked"] is not None]

    assert asking() == ["ada"]
    assert list(told(served, "helped", "ada")["helped"]) == ["ada"]
    assert asking() == []


def test_a_learner_puts_the_repository_back_by_a_push(served: Classroom, tmp_path: Path) -> None:
    before = main(served, "ada")
    clone = served.clone("ada", tmp_path)
    (clone / "notes.md").write_text("mine\n")
    served.push(clone)
    assert main(served, "ada") != before
    run(["git", "push", "--quiet", "origin", "HEAD:reset"], cwd=clone)
    assert main(served, "ada") == before


def test_one_is_put_back_and_nobody_else(served: Classroom, tmp_path: Path) -> None:
    clone = served.clone("ada", tmp_path)
    (clone / "notes.md").write_text("mine\n")
    served.push(clone)
    pushed, others = main(served, "ada"), main(served, "bob")
    told(served, "reset", "ada", "--to", "done")
    run(["git", "fetch", "--quiet"], cwd=clone)
    saved = run(["git", "branch", "--remotes", "--contains", pushed], cwd=clone).stdout
    assert "origin/saved/" in saved
    assert main(served, "ada") != pushed
    assert main(served, "bob") == others


def test_what_is_broken_is_named_and_fixed(served: Classroom) -> None:
    # One fault in a commit, and one in the cluster.
    for fault in ("not-wired", "wrong-key"):
        told(served, "break", fault, "ada")
        assert diagnosed(served.lab, "ada") == [fault]
        told(served, "fix", "ada")
        assert diagnosed(served.lab, "ada") == []


def test_a_drill_is_staged_and_ended(served: Classroom) -> None:
    before = main(served, "ada")
    told(served, "drill", "leak", "ada")
    assert main(served, "ada") != before
    told(served, "drill", "end", "ada")
    assert main(served, "ada") == before


def test_a_key_that_leaked_is_replaced(served: Classroom) -> None:
    recipient, value = served.lab.recipient("bob"), served.canary_digest("bob")
    told(served, "rotate", "learner-key", "bob")
    assert served.lab.recipient("bob") != recipient
    assert served.has_canary("bob")
    assert served.canary_digest("bob") != value
    assert main(served, "bob")


def test_access_that_was_replaced_is_refused(served: Classroom, tmp_path: Path) -> None:
    old, login = tmp_path / "old", tmp_path / "login"
    old.write_bytes(served.kubeconfig("bob").read_bytes())
    login.write_bytes(Path(served.lab.settings.login_file("bob")).read_bytes())
    told(served, "reissue", "bob")
    assert served.pods_with(old).returncode != 0
    assert not served.logs_in("bob", login)
    assert fetched(served, "bob", "/~/kubeconfig") == served.kubeconfig("bob").read_text()


@contextmanager
def pushing(served: Classroom, clone: Path) -> Iterator[list[str]]:
    """Have a learner push one commit after the other during the block, whatever the server says to
    it, and yield the commits that were accepted so far. One is accepted before the block begins."""
    accepted: list[str] = []
    over = threading.Event()
    environment = {**served.lab.environment, "GIT_TERMINAL_PROMPT": "0"}

    def push() -> None:
        while not over.is_set():
            served.commit(clone)
            head = run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip()
            # What was sent to a pod that is gone by now gets no answer.
            words = ["timeout", "30", "git", "push", "--quiet", "origin", "HEAD:main"]
            if run(words, env=environment, cwd=clone, check=False).returncode == 0:
                accepted.append(head)

    with ThreadPoolExecutor(1) as pool:
        pushes = pool.submit(push)
        try:
            wait_until(lambda: bool(accepted) or pushes.done(), "a push is accepted")
            yield accepted
        finally:
            over.set()
        pushes.result()


def test_a_learner_comes_and_goes_and_no_push_that_was_accepted_is_lost(
    served: Classroom, tmp_path: Path
) -> None:
    served.up(ids=(*SEATS, "kai"))
    assert served.has_canary("kai")
    given, login = Path(served.lab.settings.login_file("kai")), tmp_path / "login"
    login.write_bytes(given.read_bytes())
    clone = served.clone("kai", tmp_path)
    # Otherwise git would remove the login, once it is refused, from the lab's own file.
    run(["git", "config", "credential.helper", login_helper(str(login))], cwd=clone)
    with pushing(served, clone) as accepted:
        before = len(accepted)
        served.up("--prune", ids=SEATS)
    assert len(accepted) > before
    (kept,) = Path(served.lab.settings.pruned_dir).glob("kai-*")
    words = ["git", "--git-dir", str(kept / "repositories" / "lab.git"), "rev-list", "main"]
    archived = set(run(words).stdout.split())
    assert set(accepted) <= archived
    assert not served.logs_in("kai", login)

    # Whoever gets that id later is let in, and begins anew.
    served.up(ids=(*SEATS, "kai"))
    assert served.logs_in("kai", given)
    assert main(served, "kai") not in {"", *archived}
    assert not served.logs_in("kai", login)
    served.up("--prune", ids=SEATS)
    assert not served.bare("kai").exists()


def test_it_is_backed_up_and_what_the_cluster_lost_comes_back(
    served: Classroom, tmp_path: Path
) -> None:
    made = run([f"{served.lab.settings.bin_dir}/age-keygen"]).stderr
    recipient = made.rpartition("Public key: ")[2].strip()
    answer = told(served, "backup", str(tmp_path / "class"), "--recipient", recipient)
    # The platform repository, that of the lab's own learner, and one for each seat.
    assert answer["repositories"] == 2 + len(SEATS)

    before = main(served, "ada")
    space = ("--namespace", git_namespace(served.lab.name))
    kubectl(served.lab, *space, "exec", "git-0", "--", "rm", "-r", "/srv/git/repositories/ada")
    rows = json.loads(served.lab.sopslab("status", "--json", check=False).stdout)["class"]
    assert "the cluster has lost its repository" in json.dumps(rows)
    served.up(ids=SEATS)
    assert main(served, "ada") == before


def test_what_was_pushed_outlives_the_class(served: Classroom) -> None:
    before = {seat: main(served, seat) for seat in SEATS}
    space = ("--namespace", git_namespace(served.lab.name))
    assert told(served, "down")["ok"]
    kinds = "persistentvolumeclaims,statefulsets,services,secrets,configmaps"
    left = kubectl(served.lab, *space, "get", kinds, "--output=name").split()
    assert "persistentvolumeclaim/repositories-git-0" in left
    assert not [one for one in left if one.startswith(("statefulset", "service", "secret"))]
    assert told(served, "down")["changed"] == 0
    served.up(ids=SEATS)
    assert {seat: main(served, seat) for seat in SEATS} == before


def test_a_purge_takes_the_repositories_too(served: Classroom) -> None:
    served.lab.purge()
    listed = kubectl(served.lab, "get", "namespaces", "--output=name")
    assert git_namespace(served.lab.name) not in listed
