"""A class that is backed up while somebody pushes, removed, and brought back under another root."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.lab import Lab, lab_name, run
from tests.cluster.test_elsewhere import another_root
from tests.repositories import make_identity

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A class on a root of its own, beside another lab: so what the root's labs share stays."""
    folder = tmp_path_factory.mktemp("backup")
    plain = Path(Lab(lab_name("backup"), folder / "plain", {}).settings.root)
    root = another_root(plain, folder / "here")
    (root / "labs" / "another").mkdir(parents=True)
    lab = Lab(lab_name("backup"), folder, {}, root=str(root))
    lab.remove()
    classroom = Classroom(lab)
    try:
        classroom.up()
        yield classroom
    finally:
        lab.remove()


@contextmanager
def pushing(classroom: Classroom, clone: Path) -> Iterator[list[str]]:
    """Have a learner push one commit after the other during the block, and yield the commits pushed
    so far. At least one is pushed before the block begins, and one more before it ends."""
    pushed: list[str] = []
    one, over = threading.Event(), threading.Event()

    def push() -> None:
        while not over.is_set():
            classroom.push(clone)
            pushed.append(run(["git", "rev-parse", "HEAD"], cwd=clone).stdout.strip())
            one.set()

    thread = threading.Thread(target=push)
    thread.start()
    try:
        assert one.wait(60)
        yield pushed
        one.clear()
        assert one.wait(60)
    finally:
        over.set()
        thread.join(60)


def passwords(lab: Lab) -> dict[str, str]:
    return {
        path.parent.name: path.read_text()
        for path in Path(lab.settings.git_dir, "credentials").glob("*/password")
    }


def test_a_class_comes_back_with_its_work_its_logins_and_its_canaries(
    here: Classroom, tmp_path: Path
) -> None:
    lab = here.lab
    clones = {seat: here.clone(seat, tmp_path) for seat in SEATS}
    for clone in clones.values():
        here.push(clone)
    here.push(clones["ada"], "origin", "HEAD:refs/heads/another", "HEAD:main")
    run(["git", "push", "origin", "HEAD:help"], cwd=clones["ada"], check=False)
    lab.push_notes(tmp_path)
    notes = Path(lab.settings.work_dir, "not-committed.md")
    notes.write_text("mine\n")
    lab.sopslab("incident", "open", "a-leak", "ada")
    canaries = {seat: here.canary_digest(seat) for seat in SEATS}
    assert all(canaries.values())
    before, heads = passwords(lab), {seat: here.head(seat) for seat in ("ada", "eve")}
    keys = {path.name: path.read_bytes() for path in Path(lab.settings.keys_dir).glob("*.agekey")}
    own, identity, file = lab.head(), tmp_path / "identity", tmp_path / "lab.age"
    recipient = make_identity(identity)

    with pushing(here, clones["bob"]) as pushed:
        first = len(pushed)
        done = lab.sopslab("backup", str(file), "--recipient", recipient, "--json")
        # One more push may have ended that is not in the list yet.
        until = len(pushed) + 1
    told = json.loads(done.stdout)
    assert (told["seats"], told["repositories"]) == (3, 5)
    possible = pushed[first - 1 : until + 1]
    lab.sopslab("down", "--purge", "--yes")
    assert not Path(lab.settings.lab_dir).exists()

    root = another_root(Path(lab.settings.root), tmp_path / "there")
    there = Classroom(Lab(lab.name, tmp_path / "there-file", {}, root=str(root)))
    try:
        there.lab.sopslab("restore", str(file), "--identity", str(identity))
        # No roster is needed: who is in the class is in the backup.
        there.lab.up()
        settings = there.lab.settings
        found = {path.name: path.read_bytes() for path in Path(settings.keys_dir).glob("*.agekey")}
        assert found == keys
        assert {seat: there.canary_digest(seat) for seat in SEATS} == canaries
        assert {seat: there.head(seat) for seat in heads} == heads
        assert there.head("bob") in possible
        assert there.lab.head() == own and there.lab.flux_applied(own)
        expected, live = there.lab.canary_digests(tmp_path)
        assert live == expected
        branches = run(["git", "branch", "--list", "another"], cwd=there.bare("ada")).stdout
        assert branches.strip() == "another"
        assert Path(settings.work_dir, "not-committed.md").read_text() == "mine\n"
        assert passwords(there.lab) == before
        for seat in SEATS:
            login = Path(settings.login_file(seat))
            assert there.logs_in(seat, login)
            there.kubectl_as(seat, "get", "pods")
        (tmp_path / "after").mkdir()
        there.push(there.clone("ada", tmp_path / "after"))
        rows = json.loads(there.lab.sopslab("status", "--json", check=False).stdout)["class"]
        assert [row["seat"] for row in rows if row["asked"] is not None] == ["ada"]
        assert list(Path(settings.platform_dir, "docs", "incidents").glob("*-a-leak.yaml"))
        again = there.lab.up()
        assert (again["changed"], there.lab.changes(again)) == (0, [])
    finally:
        there.lab.remove()
