"""The hooks of the Git server, as real pushes meet them: what a learner may ask for, of whom."""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from sopslab.config.naming import node_name
from sopslab.config.settings import Settings
from sopslab.layout import PROJECT, RECEIVER_PORT
from tasks.git import server_configuration
from tests.conftest import find_tool
from tests.marks import mostly_soak, soak
from tests.unit.policy import policy_material

TOKEN = "a-token-that-guards-nothing"
SAVED = re.compile(r"saved/[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")
PLAIN = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  password: hunter2\n"

Pushed = subprocess.CompletedProcess[str]


class Receiver:
    """Flux's receiver, as far as it is called: the path of each call, which has to be signed."""

    def __init__(self) -> None:
        self._calls: list[str] = []
        self._arrived = threading.Event()
        calls, arrived = self._calls, self._arrived

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                signed = hmac.new(TOKEN.encode(), body, hashlib.sha256).hexdigest()
                assert self.headers["X-Signature"] == f"sha256={signed}"
                calls.append(self.path)
                arrived.set()
                self.send_response(200)
                self.end_headers()

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def called(self) -> str:
        """Return the path of the one call that comes."""
        assert self._arrived.wait(10), "Flux was not told"
        (path,) = self._calls
        return path


@dataclass
class Server:
    """A Git server's data, served from its folder, with the hooks that the lab installs."""

    folder: Path
    receiver: Receiver

    def repository(self, path: str) -> Path:
        """Make a bare repository, as the lab does."""
        bare = self.folder / "repositories" / path
        bare.parent.mkdir(parents=True, exist_ok=True)
        self.git(self.folder, "-c", "init.defaultBranch=main", "init", "-q", "--bare", str(bare))
        return bare

    def clone(self, bare: Path, folder: Path) -> Path:
        """Clone a repository, and commit as the learner Ada."""
        self.git(self.folder, "clone", "--quiet", str(bare), str(folder))
        return folder

    def git(
        self, folder: Path, *arguments: str, check: bool = True, given: str | None = None
    ) -> Pushed:
        """Run git on the server or, which is the same machine here, for a learner."""
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
                "HOME": str(self.folder),
                "GIT_CONFIG_SYSTEM": str(self.folder / "etc" / "gitconfig"),
                "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
                "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
                "PYTHONPATH": str(PROJECT),
                "SOPSLAB_GITLEAKS": find_tool("gitleaks"),
                "SOPSLAB_FLUX": find_tool("flux"),
            },
            input=given,
            check=check,
            capture_output=True,
            text=True,
        )  # fmt: skip

    def commit(self, clone: Path, name: str, text: str = "a\n") -> str:
        """Commit a file in a clone and return the commit."""
        (clone / name).parent.mkdir(parents=True, exist_ok=True)
        (clone / name).write_text(text)
        self.git(clone, "add", "--all")
        self.git(clone, "commit", "--quiet", "--message", name)
        return self.at(clone, "HEAD")

    def at(self, folder: Path, name: str) -> str:
        """Return the commit of a name, empty if there is none."""
        return self.git(
            folder, "rev-parse", "--verify", "--quiet", name, check=False
        ).stdout.strip()

    def branches(self, bare: Path) -> dict[str, str]:
        """Return the branches of a repository and their commits."""
        text = "%(refname:lstrip=2) %(objectname)"
        listing = self.git(bare, "for-each-ref", f"--format={text}", "refs/heads").stdout
        return dict(line.split() for line in listing.splitlines())


@pytest.fixture
def server(lab: Callable[..., Settings], tmp_path: Path) -> Iterator[Server]:
    folder = tmp_path / "srv"
    receiver = Receiver()
    settings = lab()
    elsewhere = {
        "/srv/git": str(folder),
        f"{node_name(settings.lab)}:{RECEIVER_PORT}": f"127.0.0.1:{receiver.server.server_port}",
    }
    for path, file in server_configuration(settings).items():
        target = folder / "etc" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file.content.decode()
        for there, here in elsewhere.items():
            text = text.replace(there, here)
        target.write_text(text)
        target.chmod(0o755 if file.executable else 0o644)
    # What it refuses is told elsewhere; most pushes here are quicker without it.
    (folder / "etc/hooks/pre-receive").chmod(0o644)
    (folder / "receiver").mkdir()
    (folder / "receiver" / "token").write_text(TOKEN)
    yield Server(folder, receiver)
    receiver.server.shutdown()


@pytest.fixture
def guarded(server: Server) -> Server:
    """The same with the policy as its pre-receive hook."""
    (server.folder / "etc/hooks/pre-receive").chmod(0o755)
    return server


@dataclass
class Seat:
    """The repository of a learner with a start, and a clone of it that is two commits further."""

    server: Server
    bare: Path
    clone: Path
    start: str
    head: str

    def push(self, *arguments: str, check: bool = True) -> Pushed:
        return self.server.git(self.clone, "push", "origin", *arguments, check=check)

    def kept(self) -> dict[str, str]:
        """Return the branches on which something was kept."""
        found = self.server.branches(self.bare)
        return {name: tip for name, tip in found.items() if name.startswith("saved")}


@pytest.fixture
def seat(server: Server, tmp_path: Path) -> Seat:
    return make_seat(server, "ada/lab.git", tmp_path / "clone")


def make_seat(server: Server, path: str, folder: Path) -> Seat:
    bare = server.repository(path)
    clone = server.clone(bare, folder)
    start = server.commit(clone, "start")
    server.git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    server.git(bare, "update-ref", "refs/lab/start", start)
    server.commit(clone, "one")
    head = server.commit(clone, "two")
    server.git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return Seat(server, bare, clone, start, head)


def test_a_push_to_reset_puts_main_back_and_keeps_what_was_there(seat: Seat) -> None:
    said = seat.push("HEAD:reset").stderr
    ((branch, tip),) = seat.kept().items()
    assert seat.server.branches(seat.bare) == {"main": seat.start, branch: seat.head}
    assert SAVED.fullmatch(branch)
    assert f"remote: What was on it is kept on the branch {branch}." in said
    assert "remote: Your clone follows with:" in said
    assert "remote:   git fetch --prune" in said
    assert "remote:   git reset --hard origin/main" in said
    assert tip == seat.head
    # What else git says stays apart from it.
    ours = [line.strip() for line in said.splitlines() if line.startswith("remote:")]
    assert ours[0] == ours[-1] == "remote:"


def test_the_two_commands_that_it_names_bring_the_clone_back(seat: Seat) -> None:
    seat.push("HEAD:reset")
    seat.server.git(seat.clone, "fetch", "--prune")
    seat.server.git(seat.clone, "reset", "--hard", "origin/main")
    assert sorted(path.name for path in seat.clone.iterdir()) == [".git", "start"]
    assert seat.server.at(seat.clone, "HEAD") == seat.start
    # And it can be asked for again, with another branch of that name, too.
    seat.server.git(seat.bare, "update-ref", "refs/lab/wired", seat.head)
    seat.push("HEAD:reset/wired")
    assert seat.server.at(seat.bare, "main") == seat.head


def test_a_reset_of_what_is_at_the_checkpoint_keeps_nothing(seat: Seat) -> None:
    seat.push("HEAD:reset")
    before = seat.server.branches(seat.bare)
    assert "kept" not in seat.push(f"{seat.start}:refs/heads/reset").stderr
    assert seat.server.branches(seat.bare) == before


def test_commits_that_only_the_reset_itself_brought_are_kept(seat: Seat) -> None:
    ahead = seat.server.commit(seat.clone, "three")
    seat.push("HEAD:reset")
    assert list(seat.kept().values()) == [ahead]
    assert seat.server.at(seat.bare, "main") == seat.start


def test_a_push_to_main_at_the_same_time_comes_first(seat: Seat) -> None:
    # Whoever is writing main holds this.
    (seat.bare / "refs/heads/main.lock").touch()
    said = seat.push("HEAD:reset").stderr
    assert "Somebody else pushed at the same time, so nothing was reset. Push again." in said
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_two_histories_are_kept_on_two_branches(seat: Seat) -> None:
    seat.server.git(seat.clone, "reset", "--quiet", "--hard", seat.start)
    apart = seat.server.commit(seat.clone, "apart")
    said = seat.push("HEAD:reset").stderr
    kept = seat.kept()
    assert set(kept.values()) == {apart, seat.head}
    first, second = sorted(kept)
    assert second == f"{first}-2"
    assert all(f"the branch {branch}." in said for branch in kept)


def test_branches_whose_names_are_taken_cost_nobody_a_commit(seat: Seat) -> None:
    """However many there are: names can be taken before the moment that they are made of."""
    now = datetime.now(UTC)
    moments = [f"{now + timedelta(seconds=seconds):%Y%m%dT%H%M%SZ}" for seconds in range(30)]
    taken = [
        f"saved/{moment}{number}"
        for moment in moments
        for number in ("", *(f"-{number}" for number in range(2, 101)))
    ]
    given = "".join(f"create refs/heads/{name} {seat.start}\n" for name in taken)
    seat.server.git(seat.bare, "update-ref", "--stdin", given=given)
    seat.push("HEAD:reset")
    kept = seat.kept()
    ((branch, tip),) = [(name, kept[name]) for name in kept.keys() - set(taken)]
    assert (branch[-4:], tip) == ("-101", seat.head)


def test_a_branch_called_saved_is_in_nobodys_way(seat: Seat) -> None:
    seat.push("HEAD:refs/heads/saved")
    seat.push("HEAD:reset")
    kept = seat.kept()
    assert kept.pop("saved") == seat.head
    assert list(kept.values()) == [seat.head]
    assert seat.server.at(seat.bare, "main") == seat.start


def test_other_branches_stay(seat: Seat) -> None:
    seat.push("HEAD:refs/heads/topic", "HEAD:refs/heads/resetting")
    seat.push("HEAD:reset")
    found = seat.server.branches(seat.bare)
    assert (found["topic"], found["resetting"]) == (seat.head, seat.head)
    assert "reset" not in found


def test_another_checkpoint_is_reached_once_it_exists(seat: Seat) -> None:
    said = seat.push("HEAD:reset/wired").stderr
    assert "There is no checkpoint 'wired' here yet, so nothing was reset." in said
    assert "There are: start." in said
    assert seat.server.branches(seat.bare) == {"main": seat.head}
    wired = seat.server.git(
        seat.bare, "commit-tree", "-m", "w", "-p", seat.start, f"{seat.start}^{{tree}}"
    ).stdout.strip()
    seat.server.git(seat.bare, "update-ref", "refs/lab/wired", wired)
    seat.push("HEAD:reset/wired")
    assert seat.server.at(seat.bare, "main") == wired


@pytest.mark.parametrize(
    "checkpoint", mostly_soak(["none", "start/x", "übung", "$(id)", "-d"], "none", "$(id)")
)
def test_what_is_no_checkpoint_changes_nothing(seat: Seat, checkpoint: str) -> None:
    said = seat.push(f"HEAD:refs/heads/reset/{checkpoint}").stderr
    assert "nothing was reset" in said
    assert "Traceback" not in said
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_deleting_a_branch_reset_asks_for_nothing(seat: Seat) -> None:
    seat.server.git(seat.bare, "update-ref", "refs/heads/reset", seat.head)
    seat.push("--delete", "reset")
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_a_repository_without_a_start_has_an_ordinary_branch_reset(
    server: Server, tmp_path: Path
) -> None:
    bare = server.repository("platform.git")
    clone = server.clone(bare, tmp_path / "clone")
    head = server.commit(clone, "a")
    server.git(clone, "push", "--quiet", "origin", "HEAD:main", "HEAD:reset")
    assert server.branches(bare) == {"main": head, "reset": head}


@pytest.mark.parametrize("name", mostly_soak(["start", "wired", "mine"], "start"))
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_no_push_makes_changes_or_deletes_a_checkpoint(
    seat: Seat, name: str, force: list[str]
) -> None:
    before = seat.server.git(seat.bare, "for-each-ref").stdout
    for refspec in (f"HEAD:refs/lab/{name}", f":refs/lab/{name}"):
        pushed = seat.push(*force, refspec, check=False)
        assert pushed.returncode != 0
        assert "hidden ref" in pushed.stderr
    assert seat.server.git(seat.bare, "for-each-ref").stdout == before


def test_the_policy_looks_at_a_push_to_reset_as_at_any_other(guarded: Server, seat: Seat) -> None:
    seat.server.commit(seat.clone, "secret.yaml", PLAIN)
    pushed = seat.push("HEAD:reset", check=False)
    assert pushed.returncode != 0
    assert "secret-plaintext" in pushed.stderr
    assert seat.server.branches(seat.bare) == {"main": seat.head}
    # What is on the server already has been looked at.
    seat.push("origin/main:refs/heads/reset")
    assert seat.server.at(seat.bare, "main") == seat.start


def test_what_judges_a_push_is_not_bounded_as_git_is(guarded: Server, tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/sh\necho "$(ulimit -S -v) $*"\nexit 7\n')
    python.chmod(0o755)
    judged = subprocess.run(
        ["sh", "-c", 'ulimit -S -v 262144; exec "$0"', guarded.folder / "etc/hooks/pre-receive"],
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    said = f"unlimited -m sopslab.gitserver.receive {guarded.folder}\n"
    assert (judged.returncode, judged.stdout) == (7, said)


def doubled(server: Server, clone: Path, entry: str, levels: int) -> str:
    """Return a tree with `entry` in it 2 to the power of `levels` times; it is small to push."""
    for _ in range(levels):
        listing = "".join(f"{entry}\t{name}\n" for name in ("a", "b"))
        tree = server.git(clone, "mktree", given=listing).stdout.strip()
        entry = f"040000 tree {tree}"
    return entry.split(" ")[2]


def blob(server: Server, clone: Path, size: int) -> str:
    (clone / "filling").write_text("a\n" * (size // 2))
    return server.git(clone, "hash-object", "-w", "filling").stdout.strip()


@pytest.mark.parametrize(
    ("size", "levels", "refused"),
    [
        (2, 12, False),
        (2, 13, True),
        (2, 60, True),
        soak(2 << 20, 3, False),
        (2 << 20, 5, True),
    ],
)
def test_more_than_flux_should_unpack_is_refused_however_small_it_is_to_push(
    guarded: Server, seat: Seat, size: int, levels: int, refused: bool
) -> None:
    given = f"100644 blob {blob(guarded, seat.clone, size)}"
    tree = doubled(guarded, seat.clone, given, levels)
    commit = guarded.git(seat.clone, "commit-tree", "-m", "much", tree).stdout.strip()
    pushed = seat.push(f"{commit}:refs/heads/much", check=False)
    assert (pushed.returncode != 0) == refused, pushed.stderr
    assert ("more than 5000 files, or more than 32 MiB" in pushed.stderr) == refused


def test_folders_without_end_and_without_a_file_are_refused(guarded: Server, seat: Seat) -> None:
    empty = guarded.git(seat.clone, "mktree", given="").stdout.strip()
    tree = doubled(guarded, seat.clone, f"040000 tree {empty}", 60)
    commit = guarded.git(seat.clone, "commit-tree", "-m", "much", tree).stdout.strip()
    pushed = seat.push(f"{commit}:refs/heads/much", check=False)
    assert pushed.returncode != 0
    assert "more than 5000 files" in pushed.stderr


@pytest.mark.parametrize("owner", ["ada", "bob"])
def test_who_must_be_able_to_decrypt_depends_on_whose_repository_it_is(
    guarded: Server, tmp_path: Path, owner: str
) -> None:
    server = guarded
    encrypted = (PROJECT / "tests/data/policy/pass/encrypted-age.yaml").read_text()
    (server.folder / "recipients").mkdir()
    (server.folder / "recipients" / "bob").write_text(f"{policy_material.recipient()}\n")
    bare = server.repository(f"{owner}/lab.git")
    clone = server.clone(bare, tmp_path / "clone")
    server.commit(clone, "a.yaml", policy_material.render(encrypted))
    pushed = server.git(clone, "push", "origin", "HEAD:main", check=False)
    assert ("sops-missing-recipient" in pushed.stderr) == (owner == "bob")
    assert bool(pushed.returncode) == (owner == "bob")


@pytest.mark.parametrize(
    ("repository", "name", "namespace"),
    [
        ("ada/lab.git", "lab", "lab-ada-sys"),
        ("learner/lab.git", "lab", "flux-system"),
        ("platform.git", "lab", "flux-system"),
    ],
)
def test_the_receiver_that_is_told_is_the_repositorys_own(
    server: Server, tmp_path: Path, repository: str, name: str, namespace: str
) -> None:
    bare = server.repository(repository)
    clone = server.clone(bare, tmp_path / "clone")
    server.commit(clone, "a")
    server.git(clone, "push", "--quiet", "origin", "HEAD:main")
    path = hashlib.sha256(f"{TOKEN}{name}{namespace}".encode()).hexdigest()
    assert server.receiver.called() == f"/hook/{path}"


def test_a_push_without_a_token_or_a_receiver_is_still_a_push(seat: Seat) -> None:
    seat.server.receiver.server.server_close()
    seat.server.commit(seat.clone, "three")
    assert "Traceback" not in seat.push("HEAD:main").stderr
    (seat.server.folder / "receiver" / "token").unlink()
    seat.server.commit(seat.clone, "four")
    assert "Traceback" not in seat.push("HEAD:main").stderr
