"""The hooks of the Git server under real pushes: what a learner may ask of which repository."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from sopslab.checks.board.steps import STEPS
from sopslab.config.naming import node_name
from sopslab.config.settings import Settings
from sopslab.gitserver import asking
from sopslab.gitserver.standing import Seat as Standpoint
from sopslab.lab.tools.files import read
from sopslab.lab.tools.waiting import wait_until
from sopslab.layout import PROJECT, RECEIVER_PORT
from sopslab.model.hints import RECORD, parse_given
from sopslab.model.mark import MARK, parse_mark, render_mark
from tasks.git import server_configuration
from tests.beginnings import begin
from tests.conftest import find_tool
from tests.marks import mostly_soak, soak
from tests.repositories import overtake, was_overtaken
from tests.texts import write_files
from tests.unit.gitserver.gitserver_material import judging
from tests.unit.policy import policy_material

TOKEN = "a-token-that-guards-nothing"
SAVED = re.compile(r"saved/[0-9]{8}T[0-9]{6}Z(-[0-9]+)?")
FILE = "flux/secrets/develop/backend-secrets.yaml"
LIST = "flux/secrets/develop/kustomization.yaml"
PLAIN = "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  password: hunter2\n"

Pushed = subprocess.CompletedProcess[str]


class Receiver:
    """Flux's receiver, reduced to its calls: it records their paths, and requires a signature."""

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
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def told(self) -> list[str]:
        """Return the paths of the calls so far."""
        return list(self._calls)

    def called(self) -> str:
        """Wait for a call, and return the path of the only one."""
        assert self._arrived.wait(10), "Flux was not told"
        (path,) = self._calls
        return path


def hook(name: str, namespace: str) -> str:
    """Return the path at which Flux's receiver of this name is called."""
    return f"/hook/{hashlib.sha256(f'{TOKEN}{name}{namespace}'.encode()).hexdigest()}"


@dataclass
class Server:
    """A Git server's data, served from its folder, with the hooks that the lab installs."""

    folder: Path
    receiver: Receiver
    judges: str = ""

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
        """Run git on the server or for a learner; both are this machine."""
        return subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env=self.environment,
            input=given,
            check=check,
            capture_output=True,
            text=True,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The environment of git and the hooks."""
        return {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "GIT_CONFIG_SYSTEM": str(self.folder / "etc" / "gitconfig"),
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
            "PYTHONPATH": str(PROJECT),
            "SOPSLAB_JUDGES": self.judges,
            "SOPSLAB_GITLEAKS": find_tool("gitleaks"),
            "SOPSLAB_FLUX": find_tool("flux"),
        }  # fmt: skip

    def commit(self, clone: Path, name: str, text: str = "a\n") -> str:
        """Commit a file in a clone and return the commit."""
        write_files(clone, {name: text})
        self.git(clone, "add", "--all")
        self.git(clone, "commit", "--quiet", "--message", name)
        return self.at(clone, "HEAD")

    def at(self, folder: Path, name: str) -> str:
        """Return the commit of a name; empty if there is none."""
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
        node_name(settings.lab): "127.0.0.1",
        str(RECEIVER_PORT): str(receiver.server.server_port),
    }
    for path, file in server_configuration(settings).items():
        target = folder / "etc" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        text = file.content.decode()
        for there, here in elsewhere.items():
            text = text.replace(there, here)
        target.write_text(text)
        target.chmod(0o755 if file.executable else 0o644)
    # Other tests cover this hook's refusals. Most pushes here are quicker without it.
    (folder / "etc/hooks/pre-receive").chmod(0o644)
    (folder / "receiver").mkdir()
    (folder / "receiver" / "token").write_text(TOKEN)
    yield Server(folder, receiver)
    receiver.server.shutdown()


@pytest.fixture
def guarded(server: Server) -> Iterator[Server]:
    """The server with the policy as its pre-receive hook."""
    (server.folder / "etc/hooks/pre-receive").chmod(0o755)
    with judging(server.folder) as server.judges:
        yield server


@dataclass
class Seat:
    """A learner's repository with a start, and a clone that is two commits further."""

    server: Server
    bare: Path
    clone: Path
    start: str
    head: str

    def push(self, *arguments: str, check: bool = True) -> Pushed:
        return self.server.git(self.clone, "push", "origin", *arguments, check=check)

    def kept(self) -> dict[str, str]:
        """Return the branches on which commits were kept."""
        found = self.server.branches(self.bare)
        return {name: tip for name, tip in found.items() if name.startswith("saved")}


MakeSeat = Callable[[str, Path], Seat]


@pytest.fixture
def make_seat(server: Server, beginnings: Path) -> MakeSeat:
    """Return a function that makes a seat from the path of its repository and the folder of its
    clone."""

    def make(path: str, folder: Path) -> Seat:
        bare = server.folder / "repositories" / path

        def fill() -> None:
            server.repository(path)
            clone = server.clone(bare, folder.with_name(f"{folder.name}-first"))
            start = server.commit(clone, "start")
            server.git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
            server.git(bare, "update-ref", "refs/lab/start", start)
            server.commit(clone, "one")
            server.commit(clone, "two")
            server.git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")

        begin(bare, beginnings / path, fill)
        start, head = (server.at(bare, ref) for ref in ("refs/lab/start", "refs/heads/main"))
        return Seat(server, bare, server.clone(bare, folder), start, head)

    return make


@pytest.fixture
def seat(make_seat: MakeSeat, tmp_path: Path) -> Seat:
    return make_seat("ada/lab.git", tmp_path / "clone")


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
    # Empty lines separate the hook's words from git's.
    ours = [line.strip() for line in said.splitlines() if line.startswith("remote:")]
    assert ours[0] == ours[-1] == "remote:"


def test_the_two_commands_that_it_names_bring_the_clone_back(seat: Seat) -> None:
    seat.push("HEAD:reset")
    seat.server.git(seat.clone, "fetch", "--prune")
    seat.server.git(seat.clone, "reset", "--hard", "origin/main")
    assert sorted(path.name for path in seat.clone.iterdir()) == [".git", "start"]
    assert seat.server.at(seat.clone, "HEAD") == seat.start
    # Another reset is possible, also with a branch below `reset`.
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
    # A git that is writing main holds this lock.
    (seat.bare / "refs/heads/main.lock").touch()
    said = seat.push("HEAD:reset").stderr
    assert "Somebody else pushed at the same time, so nothing was reset. Push again." in said
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_a_push_to_main_after_the_hook_has_looked_is_not_overwritten(
    seat: Seat, tmp_path: Path
) -> None:
    late = seat.server.commit(seat.clone, "late")
    tools = tmp_path / "tools"
    overtake(tools, "update-ref --stdin", seat.bare, seat.clone)
    seat.server.git(seat.bare, "update-ref", "refs/heads/reset", seat.head)
    # A hook that git starts has git's own folder first in its PATH, and would find no stand-in.
    environment = seat.server.environment
    done = subprocess.run(
        [seat.server.folder / "etc/hooks/post-receive"],
        cwd=seat.bare,
        env={**environment, "PATH": f"{tools}:{environment['PATH']}"},
        input=f"{'0' * 40} {seat.head} refs/heads/reset\n",
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert was_overtaken(tools)
    assert "Somebody else pushed at the same time, so nothing was reset. Push again." in done.stdout
    assert seat.server.branches(seat.bare) == {"main": late}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("reset", "Somebody else pushed at the same time, so nothing was reset."),
        ("reset/none", "There is no checkpoint 'none' here yet, so nothing was reset."),
    ],
)
def test_a_branch_that_is_gone_when_the_hook_looks_is_no_error(
    seat: Seat, name: str, said: str
) -> None:
    done = subprocess.run(
        [seat.server.folder / "etc/hooks/post-receive"],
        cwd=seat.bare,
        env=seat.server.environment,
        input=f"{'0' * 40} {seat.head} refs/heads/{name}\n",
        capture_output=True,
        text=True,
    )
    assert said in done.stderr and "Traceback" not in done.stderr
    assert done.returncode == 0
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_a_lock_that_a_killed_git_left_does_not_refuse_pushes_for_ever(
    guarded: Server, seat: Seat
) -> None:
    new = guarded.commit(seat.clone, "three")
    names = ("HEAD", "packed-refs", "gc.pid", "refs/heads/main", "refs/heads/topic")
    locks = [seat.bare / f"{name}.lock" for name in names]
    locks.append(seat.bare / "gc.pid")
    # Git keeps what it receives from being cleared by one of these.
    locks.append(seat.bare / "objects/pack/pack-1.keep")
    for lock in locks:
        lock.touch()
    assert seat.push("HEAD:main", check=False).returncode
    # The locks are new, and may belong to another git at work.
    assert all(lock.exists() for lock in locks)
    for lock in locks:
        os.utime(lock, (0, 0))
    seat.push("HEAD:main", "HEAD:topic")
    assert guarded.branches(seat.bare) == {"main": new, "topic": new}
    assert not any(lock.exists() for lock in locks)


def test_a_list_of_refs_that_a_killed_git_began_keeps_no_branch_for_ever(
    guarded: Server, seat: Seat
) -> None:
    seat.push("HEAD:topic")
    guarded.git(seat.bare, "pack-refs", "--all")
    begun = seat.bare / "packed-refs.new"
    begun.touch()
    assert seat.push("--delete", "topic", check=False).returncode
    os.utime(begun, (0, 0))
    seat.push("--delete", "topic")
    assert guarded.branches(seat.bare) == {"main": seat.head}
    assert not begun.exists()


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
    """However many there are: names can be taken before the moment after which they are named."""
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


@pytest.mark.parametrize("kind", ["heads", "tags"])
def test_nothing_that_is_pushed_passes_for_a_checkpoint(seat: Seat, kind: str) -> None:
    seat.push(f"{seat.start}:refs/{kind}/refs/lab/mine")
    said = seat.push("HEAD:reset/mine").stderr
    assert "There is no checkpoint 'mine' here yet, so nothing was reset." in said
    assert seat.server.at(seat.bare, "refs/heads/main") == seat.head


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
    # The policy has judged what is on the server already.
    seat.push("origin/main:refs/heads/reset")
    assert seat.server.at(seat.bare, "main") == seat.start


def doubled(server: Server, clone: Path, entry: str, levels: int) -> str:
    """Return a tree that holds `entry` 2 to the power of `levels` times, and is small to push."""
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
    assert ("more than 5000 files, more than 32 MiB" in pushed.stderr) == refused


def test_folders_without_end_and_without_a_file_are_refused(guarded: Server, seat: Seat) -> None:
    empty = guarded.git(seat.clone, "mktree", given="").stdout.strip()
    tree = doubled(guarded, seat.clone, f"040000 tree {empty}", 60)
    commit = guarded.git(seat.clone, "commit-tree", "-m", "much", tree).stdout.strip()
    pushed = seat.push(f"{commit}:refs/heads/much", check=False)
    assert pushed.returncode != 0
    assert "more than 5000 files" in pushed.stderr


def test_commits_that_list_more_than_can_be_looked_at_are_refused(
    guarded: Server, seat: Seat
) -> None:
    """They are a few kilobytes, of two folders in turn."""
    trees = []
    for text in ("a\n", "b\n"):
        found = guarded.git(seat.clone, "hash-object", "-w", "--stdin", given=text).stdout.strip()
        files = "".join(f"100644 blob {found}\tfile-{number}\n" for number in range(2000))
        trees.append(guarded.git(seat.clone, "mktree", given=files).stdout.strip())
    head = seat.head
    for number in range(100):
        head = guarded.git(
            seat.clone, "commit-tree", trees[number % 2], "-p", head, "-m", str(number)
        ).stdout.strip()
    pushed = seat.push(f"{head}:refs/heads/main", check=False)
    assert pushed.returncode != 0
    assert "there is too much to look at at once: git diff-tree prints more than" in pushed.stderr
    assert guarded.branches(seat.bare) == {"main": seat.head}


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
    assert server.receiver.called() == hook(name, namespace)


def test_a_push_without_a_token_or_a_receiver_is_still_a_push(seat: Seat) -> None:
    seat.server.receiver.server.server_close()
    seat.server.commit(seat.clone, "three")
    assert "Traceback" not in seat.push("HEAD:main").stderr
    (seat.server.folder / "receiver" / "token").unlink()
    seat.server.commit(seat.clone, "four")
    assert "Traceback" not in seat.push("HEAD:main").stderr


ASKS = "remote: Your instructor sees now that you ask for help. The same push takes that back:"
TAKEN_BACK = "remote: You do not ask for help any more, and your instructor sees that."


def mark(seat: Seat) -> float | None:
    """Return since when the learner of a seat has been asking for help."""
    return parse_mark(read(seat.bare / MARK))


def hints_given(seat: Seat) -> dict[str, int]:
    """Return the number of hints given for each step."""
    given = parse_given(read(seat.bare / RECORD))
    return {step: len(times) for step, times in given.times.items()}


def publish(seat: Seat, seen: float | None = None, **open_step: object) -> None:
    """Publish a row as the board does, with all steps done except one."""
    rows = seat.server.folder / "rows"
    rows.mkdir(exist_ok=True)
    steps: list[dict[str, object]] = [
        {"id": name, "progress": "yes", "found": "", "fix": "", "stuck": False} for name in STEPS
    ]
    steps = [{**step, **open_step} if step["id"] == open_step.get("id") else step for step in steps]
    told = {name: open_step.get(key, "") for name, key in (("next", "found"), ("fix", "fix"))}
    row = {"seen": time.time() if seen is None else seen, "steps": steps, **told}
    (rows / "ada.json").write_text(json.dumps({**row, "asked": None}))


def test_a_push_to_help_marks_the_seat_and_a_second_one_takes_that_back(seat: Seat) -> None:
    before = seat.server.branches(seat.bare)
    began = time.time()
    said = seat.push("HEAD:help").stderr
    since = mark(seat)
    assert since is not None
    assert began <= since <= time.time()
    assert ASKS in said
    assert "remote:   git push origin HEAD:help" in said
    assert "remote: What the doctor would ask first: " in said
    assert seat.server.branches(seat.bare) == before

    assert TAKEN_BACK in seat.push("HEAD:help").stderr
    assert mark(seat) is None
    assert seat.server.branches(seat.bare) == before


@pytest.mark.parametrize(
    "branch",
    mostly_soak(["help/me", "help/a/b", "help/übung", "help/$(id)", "help/-d"], "help/$(id)"),
)
def test_a_branch_below_help_asks_as_well_whatever_its_name(seat: Seat, branch: str) -> None:
    said = seat.push(f"HEAD:refs/heads/{branch}").stderr
    assert ASKS in said
    assert "Traceback" not in said
    assert mark(seat) is not None
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_two_branches_in_one_push_ask_once(seat: Seat) -> None:
    seat.push("HEAD:help/a", "HEAD:help/b")
    assert mark(seat) is not None
    assert seat.server.branches(seat.bare) == {"main": seat.head}


@pytest.mark.parametrize("name", ["helping", "hints", "my/help"])
def test_a_branch_that_is_only_called_similarly_asks_for_nothing(seat: Seat, name: str) -> None:
    seat.push(f"HEAD:refs/heads/{name}")
    assert seat.server.branches(seat.bare) == {"main": seat.head, name: seat.head}
    assert (mark(seat), hints_given(seat)) == (None, {})


def test_deleting_a_branch_help_asks_for_nothing_and_takes_nothing_back(seat: Seat) -> None:
    seat.push("HEAD:help")
    since = mark(seat)
    seat.server.git(seat.bare, "update-ref", "refs/heads/help", seat.head)
    seat.push("--delete", "help")
    assert seat.server.branches(seat.bare) == {"main": seat.head}
    assert mark(seat) == since is not None


def test_a_mark_is_kept_over_a_reset(seat: Seat) -> None:
    """A learner who waits for the instructor still waits."""
    seat.push("HEAD:help")
    since = mark(seat)
    seat.push("HEAD:reset")
    assert seat.server.at(seat.bare, "main") == seat.start
    assert mark(seat) == since is not None


def test_only_the_repository_that_was_pushed_to_is_marked(
    make_seat: MakeSeat, tmp_path: Path
) -> None:
    ada = make_seat("ada/lab.git", tmp_path / "ada")
    bob = make_seat("bob/lab.git", tmp_path / "bob")
    ada.push("HEAD:refs/heads/help/bob")
    assert mark(ada) is not None and mark(bob) is None
    # The same question again takes the mark back.
    ada.push("HEAD:refs/heads/help/bob/lab.git")
    assert mark(ada) is None and mark(bob) is None


def test_nobody_is_told_of_a_push_to_the_one_learners_own_repository(
    server: Server, make_seat: MakeSeat, tmp_path: Path
) -> None:
    alone = make_seat("learner/lab.git", tmp_path / "clone")
    assert "`sopslab doctor` answers that." in alone.push("HEAD:help").stderr
    assert "`sopslab hint` answers that." in alone.push("HEAD:hint").stderr
    assert server.branches(alone.bare) == {"main": alone.head}
    assert (mark(alone), hints_given(alone)) == (None, {})


def test_a_repository_without_a_start_has_ordinary_branches_help_and_hint(
    server: Server, tmp_path: Path
) -> None:
    bare = server.repository("platform.git")
    clone = server.clone(bare, tmp_path / "clone")
    head = server.commit(clone, "a")
    server.git(clone, "push", "--quiet", "origin", "HEAD:main", "HEAD:help", "HEAD:hint")
    assert server.branches(bare) == {"main": head, "help": head, "hint": head}
    assert not (bare / MARK).exists()


def test_flux_is_not_told_of_a_question(make_seat: MakeSeat, tmp_path: Path) -> None:
    # No other test begins with this repository: its two first pushes are made now.
    seat = make_seat("zoe/lab.git", tmp_path / "clone")
    server, told = seat.server, seat.server.receiver.told
    pushes = [hook("lab", "lab-zoe-sys")] * 2
    assert wait_until(lambda: told() == pushes, 10, 0.02)
    seat.push("HEAD:help")
    seat.push("HEAD:hint")
    # Calls to Flux come in the order of the pushes.
    other = server.clone(server.repository("bob/lab.git"), tmp_path / "other")
    server.commit(other, "a")
    server.git(other, "push", "--quiet", "origin", "HEAD:main")
    last = hook("lab", "lab-bob-sys")
    assert wait_until(lambda: last in told(), 10, 0.02)
    assert told() == [*pushes, last]


def test_asking_many_times_leaves_one_file_and_no_branch(seat: Seat) -> None:
    before = {path.name for path in seat.bare.iterdir()}
    for _ in range(7):
        seat.push("HEAD:help")
    for _ in range(7):
        seat.push("HEAD:hint")
    assert mark(seat) is not None
    assert {path.name for path in seat.bare.iterdir()} == before | {MARK, RECORD}
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_two_pushes_at_once_are_each_answered_and_leave_nothing_else(seat: Seat) -> None:
    before = {path.name for path in seat.bare.iterdir()}
    said: list[str] = []
    threads = [
        threading.Thread(
            target=lambda name=name: said.append(seat.push(f"HEAD:help/{name}").stderr)
        )
        for name in ("a", "b")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    asked, taken_back = (sum(line in one for one in said) for line in (ASKS, TAKEN_BACK))
    assert (asked, taken_back) in ((2, 0), (1, 1))
    assert (mark(seat) is None) == (taken_back == 1)
    assert {path.name for path in seat.bare.iterdir()} - before <= {MARK}
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_a_mark_that_was_made_in_the_meantime_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def late(**options: Any) -> tuple[int, str]:
        (tmp_path / MARK).write_text(render_mark(1.0))
        return made(**options)

    made = tempfile.mkstemp
    monkeypatch.setattr("sopslab.gitserver.asking.tempfile.mkstemp", late)
    assert asking.toggle(tmp_path, 2.0)
    assert parse_mark(read(tmp_path / MARK)) == 1.0
    assert [path.name for path in tmp_path.iterdir()] == [MARK]


def test_the_mark_is_read_by_the_server_and_by_nobody_else(seat: Seat) -> None:
    seat.push("HEAD:help")
    seat.push("HEAD:hint")
    for name in (MARK, RECORD):
        assert (seat.bare / name).stat().st_mode & 0o007 == 0


def test_a_mark_that_cannot_be_made_is_said_and_the_push_stands(seat: Seat, tmp_path: Path) -> None:
    (seat.bare / MARK).mkdir()
    pushed = seat.push("HEAD:help")
    assert "This could not be noted down: ask your instructor in person." in pushed.stderr
    assert seat.server.branches(seat.bare) == {"main": seat.head}


# What the doctor would ask first


def test_without_the_file_the_doctor_asks_for_it(seat: Seat) -> None:
    said = seat.push("HEAD:help").stderr
    assert f"ask first: {FILE} is not there yet: this is where the chapter begins." in said
    assert "remote:   scripts/sops-encrypt-secret.sh develop backend-secrets" in said


NOTHING = ("", "---\n", "a: [\n")


@pytest.mark.parametrize(
    "text", [PLAIN, "kind: Secret\ndata: {a: eA==}\nsops: {mac: x}\n", *NOTHING]
)
def test_what_is_not_encrypted_is_named_and_not_shown(seat: Seat, text: str) -> None:
    seat.server.commit(seat.clone, FILE, text)
    said = seat.push("HEAD:help").stderr
    assert f"ask first: {FILE} is not encrypted." in said
    assert "hunter2" not in said


IV, TAG = f"{'A' * 43}=", f"{'A' * 22}=="
ENCRYPTED = f"""\
kind: Secret
data:
  a: ENC[AES256_GCM,data:AA==,iv:{IV},tag:{TAG},type:str]
sops:
  mac: x
"""
UNLISTED = "resources:\n  - lab-canary.yaml\n  # - backend-secrets.yaml\n"
WIRED = UNLISTED.replace("# - b", "- b")


def encrypt(seat: Seat, listed: str = "") -> str:
    """Commit an encrypted file, and the list of what Flux applies."""
    if listed:
        (seat.clone / LIST).parent.mkdir(parents=True)
        (seat.clone / LIST).write_text(listed)
    return seat.server.commit(seat.clone, FILE, ENCRYPTED)


def test_a_file_that_is_not_listed_is_named_with_the_line_to_uncomment(seat: Seat) -> None:
    encrypt(seat, UNLISTED)
    said = seat.push("HEAD:help").stderr
    assert f"ask first: {LIST} does not list backend-secrets.yaml" in said
    assert "uncomment line 3." in said


def test_commits_that_main_lacks_are_asked_for_before_what_flux_does(seat: Seat) -> None:
    head = encrypt(seat, WIRED)
    publish(seat, id="applied", progress="no", found="Flux says no.", fix="")
    said = seat.push("HEAD:help").stderr
    assert f"ask first: your commit {head[:7]} is not pushed" in said
    assert "remote:   git push origin HEAD:main" in said
    seat.server.git(seat.clone, "reset", "--quiet", "--hard", seat.start)
    encrypt(seat, WIRED)
    seat.push("HEAD:help")
    assert "have diverged." in seat.push("HEAD:help").stderr


def test_with_all_of_it_on_main_the_rest_is_flux(seat: Seat) -> None:
    encrypt(seat, WIRED)
    seat.push("HEAD:main")
    said = seat.push("HEAD:help").stderr
    assert "ask first: main holds all that the chapter asks for" in said
    assert "remote:   kubectl -n ada-develop get secret backend-secrets" in said


def test_the_row_of_the_board_is_what_the_doctor_goes_by(seat: Seat) -> None:
    encrypt(seat, WIRED)
    seat.push("HEAD:main")
    publish(seat, id="applied", progress="no", found="Flux cannot decrypt \x1b[2J.", stuck=True)
    said = seat.push("HEAD:help").stderr
    assert "ask first: Flux cannot decrypt \\x1b[2J." in said
    assert "\x1b[2J" not in said
    publish(seat, id="none")
    seat.push("HEAD:help")
    assert "You have done all of the chapter's steps." in seat.push("HEAD:help").stderr


@pytest.mark.parametrize(("fix", "shown"), [("git push", True), ("sopslab up", False)])
def test_no_command_of_the_instructors_is_told_to_a_learner(
    seat: Seat, fix: str, shown: bool
) -> None:
    publish(seat, id="key", progress="no", found="The key is gone.", fix=fix, stuck=True)
    said = seat.push("HEAD:help").stderr
    assert "ask first: The key is gone." in said
    assert (f"remote:   {fix}" in said) == shown


@pytest.mark.parametrize("row", ["", '{"seen": 1e12}', "\udcff"])
def test_a_row_that_is_damaged_or_of_before_is_not_gone_by(seat: Seat, row: str) -> None:
    (seat.server.folder / "rows").mkdir()
    (seat.server.folder / "rows/ada.json").write_bytes(row.encode("utf-8", "surrogateescape"))
    said = seat.push("HEAD:help").stderr
    assert f"ask first: {FILE} is not there yet" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("age", [1.0, 9 * 3600.0], ids=["before-the-push", "another-day"])
def test_a_row_that_is_too_old_is_not_gone_by(seat: Seat, age: float) -> None:
    main = seat.bare / "refs/heads/main"
    if age > 3600:
        os.utime(main, (0, 0))
        (seat.bare / "packed-refs").unlink(missing_ok=True)
    publish(seat, main.stat().st_mtime - 1 if age == 1.0 else time.time() - age, id="key",
            progress="no", found="Of old.")  # fmt: skip
    assert "Of old." not in seat.push("HEAD:help").stderr
    publish(seat, id="key", progress="no", found="Of now.")
    seat.push("HEAD:help")
    assert "Of now." in seat.push("HEAD:help").stderr


def test_a_list_that_expands_for_ever_is_not_read(seat: Seat) -> None:
    """Every level doubles what is merged; YAML needs only a few lines for that."""
    levels = "".join(f"- &l{n} {{<<: [*l{n - 1}, *l{n - 1}]}}\n" for n in range(1, 40))
    encrypt(seat, f"resources:\n- &l0 {{a: b}}\n{levels}")
    said = seat.push("HEAD:help").stderr
    assert f"ask first: {LIST} does not list backend-secrets.yaml" in said
    assert mark(seat) is not None


def test_what_takes_too_long_to_look_at_ends_and_the_mark_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(_seat: object, _pushed: str) -> None:
        while True:
            pass

    monkeypatch.setattr(asking, "standing", look)
    monkeypatch.setattr(asking, "SECONDS", 0.2)
    repository = Standpoint("ada", tmp_path, tmp_path / "row")
    assert asking.help_wanted(repository, "HEAD")[-1] == "  git push origin HEAD:help"
    assert (tmp_path / MARK).exists()
    assert asking.hint_wanted(repository, "HEAD")[0].startswith("It took too long")
    assert not (tmp_path / RECORD).exists()


# Hints


def test_hints_come_one_at_a_time_and_are_counted(seat: Seat) -> None:
    said = [seat.push("HEAD:hint").stderr for _ in range(5)]
    for number, text in enumerate(said[:3], 1):
        assert f"remote: Hint {number} of 3, for the step `encrypted`:" in text
    assert "remote: The same push gives the next one." in said[0]
    assert "remote:   scripts/sops-encrypt-secret.sh develop backend-secrets" in said[2]
    assert "scripts/" not in said[0] + said[1]
    assert said[3] == said[4]
    assert "remote: All 3 hints, since there are no others" in said[3]
    assert hints_given(seat) == {"encrypted": 3}
    assert mark(seat) is None
    assert seat.server.branches(seat.bare) == {"main": seat.head}


def test_another_step_begins_with_its_first_hint(seat: Seat) -> None:
    seat.push("HEAD:hint")
    encrypt(seat, UNLISTED)
    assert "Hint 1 of 3, for the step `wired`" in seat.push("HEAD:hint/please").stderr
    publish(seat, id="none")
    seat.push("HEAD:main")
    publish(seat, id="none")
    assert "There is no hint to give." in seat.push("HEAD:hint").stderr
    assert hints_given(seat) == {"encrypted": 1, "wired": 1}


def test_a_step_that_nothing_is_known_of_sends_to_the_instructor(seat: Seat) -> None:
    publish(seat, seen=time.time() + 60)
    file = seat.server.folder / "rows" / "ada.json"
    row = json.loads(file.read_text())
    row["steps"][0] |= {"id": "of-a-newer-version", "progress": "no"}
    file.write_text(json.dumps(row))
    said = seat.push("HEAD:hint").stderr
    assert "There is no hint for where you are: ask your instructor." in said
    assert "remote:   git push origin HEAD:help" in said


@pytest.mark.parametrize("record", ["", "[", "[]", '{"encrypted": 3}', '{"encrypted": ["x"]}'])
def test_a_record_that_is_damaged_begins_anew(seat: Seat, record: str) -> None:
    (seat.bare / RECORD).write_text(record)
    assert "Hint 1 of 3" in seat.push("HEAD:hint").stderr
    assert hints_given(seat) == {"encrypted": 1}


def test_the_policy_looks_at_a_push_to_help_as_at_any_other(guarded: Server, seat: Seat) -> None:
    seat.server.commit(seat.clone, "secret.yaml", PLAIN)
    pushed = seat.push("HEAD:help", check=False)
    assert pushed.returncode != 0
    assert "secret-plaintext" in pushed.stderr
    assert mark(seat) is None
    # A learner can always ask with a commit that is on the server already.
    seat.push("origin/main:refs/heads/help")
    assert mark(seat) is not None
