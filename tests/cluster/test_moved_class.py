"""A class that moves from kind into a cluster of three nodes, with its Git server in it, works
there, even without one of the nodes, and moves back to kind."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from sopslab.config.naming import git_namespace
from sopslab.layout import NAMESPACE
from sopslab.model.hints import RECORD
from sopslab.model.mark import MARK
from tests.bench.board import board
from tests.cluster import test_lesson
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.content import kubectl
from tests.cluster.git_in_pod import lab_with_git_in_cluster, registry_in_nodes
from tests.cluster.hand_made import enforce_policies, users_kubectl
from tests.cluster.isolation.hostile import Hostile
from tests.cluster.lab import Lab, lab_name, run, wait_until
from tests.cluster.learner import SECRET, Learner
from tests.cluster.test_backup import passwords
from tests.cluster.test_existing_class import told
from tests.cluster.test_git_in_cluster_class import fetched
from tests.cluster.test_nodes import (
    assert_served,
    await_pods,
    drained,
    in_bounded_time,
    is_elsewhere,
    web,
)
from tests.cluster.traffic import Traffic
from tests.repositories import make_identity

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

REPOSITORIES = ("learner/lab", *(f"{seat}/lab" for seat in SEATS))


@dataclass(frozen=True)
class Kept:
    """What a class keeps when it moves: identities and passwords; the refs of each repository on
    the Git server, and what is written down beside them; digests of values that Flux delivered."""

    identities: dict[str, bytes]
    passwords: dict[str, str]
    refs: dict[str, str]
    beside: dict[tuple[str, str], str]
    delivered: dict[str, str]


@dataclass(frozen=True)
class Left:
    """A class that was backed up on kind and is no longer there; `clone` is ada's, and `platform`
    is the commit of the platform repository."""

    kept: Kept
    platform: str
    backup: Path
    identity: Path
    clone: Path


def kept(classroom: Classroom) -> Kept:
    settings, env = classroom.lab.settings, classroom.lab.environment
    words, folder = server(classroom)

    def said(path: str, name: str) -> str:
        return run([*words, "cat", f"{folder}/{path}.git/{name}"], env=env, check=False).stdout

    secret = classroom.lab.kubectl(
        "-n", NAMESPACE, "get", "secret", SECRET, "-o", "jsonpath={.data}"
    )
    assert secret
    return Kept(
        {path.name: path.read_bytes() for path in Path(settings.keys_dir).glob("*.agekey")},
        passwords(classroom.lab),
        {
            path: run([*words, "git", "-C", f"{folder}/{path}.git", "for-each-ref"], env=env).stdout
            for path in REPOSITORIES
        },
        {(path, name): said(path, name) for path in REPOSITORIES for name in (MARK, RECORD)},
        {
            SECRET: hashlib.sha256(secret.encode()).hexdigest(),
            **{seat: classroom.canary_digest(seat) for seat in SEATS},
        },
    )


def server(classroom: Classroom) -> tuple[list[str], str]:
    """Return the words that run a command where the repositories are, and the folder in which they
    are."""
    lab = classroom.lab
    if "git_in_cluster" not in lab.data:
        return [], f"{lab.settings.git_dir}/repositories"
    inside = ("--namespace", git_namespace(lab.name), "exec", "git-0", "--")
    return [*users_kubectl(lab), *inside], "/srv/git/repositories"


def back_up(classroom: Classroom, folder: Path) -> tuple[Path, Path]:
    """Return a backup, and the file with the identity that opens it."""
    file, identity = folder / "class.age", folder / "identity"
    told(classroom, "backup", str(file), "--recipient", make_identity(identity))
    return file, identity


def origin(lab: Lab) -> str:
    """Return the URL from which the clone of the learner on this machine came."""
    return run(
        ["git", "remote", "get-url", "origin"], cwd=Path(lab.settings.work_dir)
    ).stdout.strip()


@pytest.fixture(scope="module")
def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """A class on kind, in which learners have pushed, asked for help and taken hints."""
    folder = tmp_path_factory.mktemp("left")
    lab = Lab(lab_name("moved"), folder / "lab", {})
    lab.remove()
    here = Classroom(lab)
    try:
        here.up()
        Learner(lab, lab.learner(folder)).finish()
        Path(lab.settings.work_dir, "not-committed.md").write_text("mine\n")
        ada, bob = (here.clone(seat, folder) for seat in ("ada", "bob"))
        here.push(ada, "origin", "HEAD:refs/heads/another", "HEAD:main")
        run(["git", "push", "origin", "HEAD:help"], cwd=ada, check=False)
        run(["git", "push", "origin", "HEAD:hint"], cwd=bob, check=False)
        told(here, "reset", "eve", "--to", "encrypted")
        was = kept(here)
        platform = Path(lab.settings.git_dir, "repositories", "platform.git")
        head = run(["git", "rev-parse", "main"], cwd=platform).stdout.strip()
        backup, identity = back_up(here, folder)
        lab.purge()
    finally:
        lab.remove()
    return Left(was, head, backup, identity, ada)


@pytest.fixture(scope="module")
def moved(left: Left, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """The class on the cluster."""
    folder = tmp_path_factory.mktemp("moved")
    with lab_with_git_in_cluster(lab_name("moved"), folder, workers=2) as lab:
        enforce_policies(lab)
        lab.sopslab("images", "push")
        registry_in_nodes(lab)
        lab.sopslab("restore", str(left.backup), "--identity", str(left.identity))
        # Who is in the class is in the backup.
        lab.up()
        yield Classroom(lab)


@pytest.fixture
def begun(moved: Classroom) -> Iterator[Classroom]:
    """The class; before and afterwards, nobody asks for help."""
    told(moved, "helped", "--all")
    yield moved
    told(moved, "helped", "--all")


def test_it_is_there_as_it_was(moved: Classroom, left: Left) -> None:
    assert kept(moved) == left.kept
    assert left.kept.beside["ada/lab", MARK]
    assert left.kept.beside["bob/lab", RECORD]
    settings = moved.lab.settings
    since = ("merge-base", "--is-ancestor", left.platform, "HEAD")
    run(["git", *since], cwd=Path(settings.platform_dir))
    assert Path(settings.work_dir, "not-committed.md").read_text() == "mine\n"
    assert origin(moved.lab) == f"{settings.git_base_url}/learner/lab.git"
    done = moved.lab.sopslab("status", "--json", check=False)
    assert done.returncode == 0, done.stdout
    rows = {row["seat"]: row for row in json.loads(done.stdout)["class"]}
    assert list(rows) == list(SEATS)
    assert [seat for seat, row in rows.items() if row["asked"] is not None] == ["ada"]
    for seat in SEATS:
        assert moved.logs_in(seat, Path(settings.login_file(seat)))
        moved.kubectl_as(seat, "get", "pods")


def test_an_up_changes_nothing_and_what_was_done_is_verified(
    moved: Classroom, tmp_path: Path
) -> None:
    answer = moved.lab.up()
    assert (answer["changed"], moved.lab.changes(answer)) == (0, [])
    verified = Learner(moved.lab, moved.lab.learner(tmp_path)).verify()
    assert verified.code == 0, verified.told


def test_a_learner_goes_on_in_the_clone_they_had(moved: Classroom, left: Left) -> None:
    clone = left.clone
    run(["git", "remote", "set-url", "origin", moved.url("ada")], cwd=clone)
    run(["git", "config", "http.sslCAInfo", str(moved.lab.settings.git_ca)], cwd=clone)
    run(["git", "pull", "--quiet", "origin", "main"], cwd=clone)
    (clone / "notes.md").write_text("there\n")
    moved.push(clone, "origin", "HEAD:main")
    head = run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip()
    # Without being told, Flux looks every five minutes.
    wait_until(lambda: moved.has_fetched("ada", head), "Flux sees what was pushed", 30)


def test_the_board_is_shown_and_each_learner_their_own_row(
    begun: Classroom, tmp_path: Path
) -> None:
    clone, asked = begun.clone("eve", tmp_path), "You have asked for help"
    assert asked not in fetched(begun, "eve", "/~/")
    with board(begun):
        run(["git", "push", "origin", "HEAD:help"], cwd=clone, check=False)
        wait_until(lambda: asked in fetched(begun, "eve", "/~/"), "eve's page shows her row")
        assert asked not in fetched(begun, "bob", "/~/")
    assert asked not in fetched(begun, "eve", "/~/")


# The test of test_lesson.py on this class: it takes the fixture `begun` of this module.
test_it_is_reported = test_lesson.test_a_report_says_who_did_what_and_nothing_that_is_secret


def test_a_node_that_is_drained_takes_neither_pushes_nor_deliveries_along(
    moved: Classroom, tmp_path: Path
) -> None:
    lab = moved.lab
    learners = [Hostile(moved, seat, tmp_path) for seat in SEATS]
    for learner in learners:
        learner.publish(web())
    for learner in learners:
        await_pods(learner)
    nodes = {pod["spec"]["nodeName"] for one in learners for pod in one.owns("pods")}
    assert nodes == set(Traffic(lab).workers)

    space = ("--namespace", git_namespace(lab.name))

    def node_of_server() -> str:
        form = ("--ignore-not-found", "--output=jsonpath={.spec.nodeName}")
        return kubectl(lab, *space, "get", "pod", "git-0", *form)

    node = node_of_server()
    assert node in nodes

    def serves_elsewhere() -> bool:
        _, answer = in_bounded_time(lab, "status")
        (part,) = [part for part in answer["parts"] if part["name"] == "git"]
        return part["up"] and node_of_server() in nodes - {node}

    with drained(lab, node):
        wait_until(serves_elsewhere, "the Git server serves on another node", 90)
        wait_until(is_elsewhere(lab, node), "Flux is on another node", 60)
        assert_served(learners)
        assert lab.up()["changed"] == 0
    assert in_bounded_time(lab, "status")[0] == 0


def test_it_goes_back_to_kind_as_it_is(moved: Classroom, tmp_path: Path) -> None:
    was = kept(moved)
    backup, identity = back_up(moved, tmp_path)
    moved.lab.purge()
    lab = Lab(moved.lab.name, tmp_path / "lab", {})
    back = Classroom(lab)
    try:
        lab.sopslab("restore", str(backup), "--identity", str(identity))
        lab.up()
        assert kept(back) == was
        assert origin(lab) == f"{lab.settings.git_base_url}/learner/lab.git"
        for seat in SEATS:
            assert back.logs_in(seat, Path(lab.settings.login_file(seat)))
            back.kubectl_as(seat, "get", "pods")
        answer = lab.up()
        assert (answer["changed"], lab.changes(answer)) == (0, [])
    finally:
        lab.remove()
