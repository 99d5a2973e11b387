"""The Git server and a learner who sends more than it should accept; what the server can reach."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sopslab.gitserver.niceness import LONG_BYTES
from tests.cluster.classroom import Classroom
from tests.cluster.isolation.hostile import IN_TIME, Hostile
from tests.cluster.lab import run, wait_until
from tests.cluster.raw_http import connect

pytestmark = pytest.mark.every_provider

UPLOADS = 10
# The longest line that git takes: it says to make a branch.
ORDER = (b"fff0" + b"0" * 40 + b" " + b"1" * 40 + b" refs/heads/").ljust(0xFFF0, b"x")
SIZE = 32 * 1024 * 1024


def container(classroom: Classroom) -> dict[str, Any]:
    """Return what Docker says about the Git server."""
    (found,) = json.loads(run(["docker", "inspect", classroom.lab.git_server]).stdout)
    return dict(found)


@contextmanager
def uploads(learner: Hostile, chunked: bool) -> Iterator[list[int]]:
    """Push ten times at once, the first time without an end; yield how many bytes each push has
    sent."""
    settings = learner.lab.settings
    password = (Path(settings.account_dir(learner.seat)) / "password").read_text()
    login = base64.b64encode(f"{learner.seat}:{password}".encode()).decode()
    length = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {SIZE}"
    head = (
        f"POST /{learner.seat}/lab.git/git-receive-pack HTTP/1.1\r\nHost: lab\r\n{length}\r\n"
        f"Authorization: Basic {login}\r\nContent-Type: application/x-git-receive-pack-request"
        "\r\n\r\n"
    ).encode()
    if chunked:
        head += f"{SIZE:x}\r\n".encode()
    sent = [0] * UPLOADS
    connections = [connect(settings, 30) for _ in range(UPLOADS)]

    def upload(number: int) -> None:
        piece = b"x" * 65536
        try:
            connections[number].sendall(head)
            while sent[number] < SIZE - len(piece):
                sent[number] += connections[number].send(piece)
        except OSError:
            return

    # git waits for more orders. It has none of them before so many bytes have come.
    connections[0].sendall(head + ORDER * (LONG_BYTES // len(ORDER) + 1))
    wait_until(lambda: git_at_work(learner.classroom), "git has the first push")
    others = range(1, UPLOADS)
    threads = [threading.Thread(target=upload, args=(one,), daemon=True) for one in others]
    for thread in threads:
        thread.start()
    try:
        yield sent
    finally:
        for connection in connections:
            connection.close()
        for thread in threads:
            thread.join(10)


def git_at_work(classroom: Classroom) -> bool:
    """Return whether the Git server has a process of git for a request."""
    return "http-backend" in run(["docker", "top", classroom.lab.git_server]).stdout


def listing(learner: Hostile) -> float:
    """Return the seconds that `git ls-remote` takes."""
    started = time.monotonic()
    run(["git", "ls-remote", "--quiet", "origin"], cwd=learner.work)
    return time.monotonic() - started


def test_uploads_of_one_learner_hold_nobody_up(ada: Hostile, bob: Hostile) -> None:
    before = container(ada.classroom)["State"]
    for chunked in (True, False):
        with uploads(ada, chunked) as sent:
            wait_until(lambda sent=sent: min(sent[1:]) > 0, "all uploads have begun")  # type: ignore[misc]
            # How much slower that is than without uploads is for the campaign to say.
            assert max(listing(bob) for _ in range(3)) < IN_TIME
            assert bob.delivers(IN_TIME) < IN_TIME
            assert sum(sent) < UPLOADS * SIZE / 2, "the server takes in what nobody reads"
    state = container(ada.classroom)["State"]
    assert (state["StartedAt"], state["OOMKilled"]) == (before["StartedAt"], False)
    wait_until(lambda: not git_at_work(ada.classroom), "nothing is left of those pushes", 10)


def test_the_server_can_write_nothing_but_repositories(bob: Hostile) -> None:
    found = container(bob.classroom)["HostConfig"]
    assert found["NanoCpus"] > 0
    script = """
        id -u
        find /tmp -maxdepth 0 -writable
        find / -xdev -writable ! -type l ! -path /tmp 2>/dev/null
        find /srv/git -path '/srv/git/repositories/*' -prune -o -writable -print
        find /srv/git/repositories -maxdepth 1 -writable ! -name '*.git'
        cat /srv/git/credentials/*/password
    """
    said = run(["docker", "exec", bob.lab.git_server, "sh", "-c", script], check=False).stdout
    user, *writable = said.splitlines()
    assert int(user) != 0 and writable == ["/tmp"], said
    # A push can add to what root wrote on the host, and root to what was pushed.
    bare = bob.classroom.bare("bob")
    tree = run(["git", "write-tree"], cwd=bob.work).stdout.strip()
    made = run(
        ["git", "-c", "user.name=i", "-c", "user.email=i@example.org", "commit-tree", "-m", "host",
         "-p", "refs/heads/main", tree], cwd=bare,
    ).stdout.strip()  # fmt: skip
    run(["git", "update-ref", "refs/heads/main", made], cwd=bare)
    run(["git", "pull", "--quiet", "--rebase"], cwd=bob.work)
    assert bob.delivers(IN_TIME) < IN_TIME


def test_only_branches_and_tags_can_be_pushed_and_not_any_number(ada: Hostile) -> None:
    bare = ada.classroom.bare("ada")
    before = run(["git", "for-each-ref"], cwd=bare).stdout
    for ref in (f"refs/replace/{ada.head}", "refs/notes/commits", "refs/lab/wired", "refs/x"):
        pushed = run(["git", "push", "origin", f"HEAD:{ref}"], cwd=ada.work, check=False)
        assert pushed.returncode != 0 and "only branches" in pushed.stderr, pushed.stderr
    many = [f"HEAD:refs/tags/{number}" for number in range(101)]
    pushed = run(["git", "push", "origin", *many], cwd=ada.work, check=False)
    assert pushed.returncode != 0 and "100 are the limit" in pushed.stderr, pushed.stderr
    assert run(["git", "for-each-ref"], cwd=bare).stdout == before


@pytest.mark.soak
def test_a_repository_that_is_full_takes_nothing_but_deletions(ada: Hostile) -> None:
    run(["git", "push", "--quiet", "origin", "HEAD:refs/heads/topic"], cwd=ada.work)
    filling = ada.classroom.bare("ada") / "objects/pack/filling"
    try:
        with filling.open("wb") as file:
            file.truncate(65 * 1024 * 1024)
        pushed = ada.push(check=False)
        assert pushed.returncode != 0
        assert "64 MiB is the limit" in pushed.stderr, pushed.stderr
        run(["git", "push", "--quiet", "origin", "--delete", "topic"], cwd=ada.work)
    finally:
        filling.unlink()
    ada.push()


@pytest.mark.soak
def test_a_checkpoint_is_made_of_what_was_pushed_whatever_replaces_it(ada: Hostile) -> None:
    bare = ada.classroom.bare("ada")
    start = run(["git", "rev-parse", "refs/lab/start"], cwd=bare).stdout.strip()
    rules = run(["git", "show", f"{start}:.sops.yaml"], cwd=bare).stdout
    (ada.work / ".sops.yaml").write_text("creation_rules: []\n")
    run(["git", "commit", "--quiet", "--no-verify", "--all", "--message", "a"], cwd=ada.work)
    run(["git", "fetch", "--quiet", str(ada.work), "HEAD"], cwd=bare)
    known = run(["git", "for-each-ref", "--format=%(refname)", "refs/lab"], cwd=bare).stdout.split()
    try:
        run(["git", "replace", start, "FETCH_HEAD"], cwd=bare)
        for name in set(known) - {"refs/lab/start"}:
            run(["git", "update-ref", "-d", name], cwd=bare)
        ada.lab.sopslab("reset", "ada", "--to", "encrypted")
        environment = {"GIT_NO_REPLACE_OBJECTS": "1", "PATH": "/usr/bin:/bin"}
        made = run(["git", "show", "refs/lab/encrypted:.sops.yaml"], cwd=bare, env=environment)
        assert made.stdout == rules
    finally:
        run(["git", "replace", "--delete", start], cwd=bare, check=False)
