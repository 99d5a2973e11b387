"""The Git server under clients that misbehave: limits, deadlines, and what remains."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

from sopslab.gitserver import backend, server, uploads
from sopslab.gitserver.niceness import LONG_BYTES, WAY
from sopslab.gitserver.server import Limits
from sopslab.lab.tools.waiting import wait_until
from tests.processes import runs
from tests.texts import write_program
from tests.unit.gitserver.gitserver_material import (
    FETCH,
    PASSWORD,
    PUSH,
    Client,
    header,
    serving,
    write_accounts,
    write_gate,
)

HELLO = r"printf 'Content-Type: text/plain\r\n\r\nhello %s' $REMOTE_USER"
DISCARD = f"cat >/dev/null; {HELLO}"
LENGTH = "Content-Length: 5"
ASKED = f"GET {FETCH} HTTP/1.1\r\nAuthorization: {header('ada', PASSWORD)}\r\n\r\n".encode()
MIB = 1024 * 1024


def test_who_has_a_password_is_answered(root: Path) -> None:
    write_gate(root, DISCARD)
    with serving(root) as port:
        assert "hello ada" in Client(port).begin("GET", FETCH).answer()
        client = Client(port).begin("POST", FETCH, LENGTH)
        client.send(b"hello")
        assert "hello ada" in client.answer()


@pytest.mark.parametrize(("user", "password"), [(None, ""), ("ada", "wrong"), ("eve", "wrong")])
def test_nobody_else_gets_as_far_as_the_gate(root: Path, user: str | None, password: str) -> None:
    write_gate(root, f"touch {root}/reached; {HELLO}")
    with serving(root) as port:
        said = Client(port, user, password).begin("GET", FETCH).answer()
    assert said.startswith("HTTP/1.1 401 ")
    assert "WWW-Authenticate: Basic" in said
    assert not (root / "reached").exists()


def test_a_password_counts_as_soon_as_it_is_there_and_no_longer(root: Path) -> None:
    write_gate(root, HELLO)
    with serving(root) as port:
        assert Client(port, "ada").begin("GET", FETCH).status() == 200
        assert Client(port, "cyd").begin("GET", FETCH).status() == 401
        write_accounts(root, "cyd")
        assert Client(port, "ada").begin("GET", FETCH).status() == 401
        assert Client(port, "cyd").begin("GET", FETCH).status() == 200


def test_what_the_gate_refuses_is_refused_whatever_is_still_sent(root: Path) -> None:
    write_gate(root, r"printf 'Status: 403 Forbidden\r\n\r\nno'")
    with serving(root) as port:
        client = Client(port).begin("POST", PUSH, f"Content-Length: {2 * MIB}")
        client.send(b"x" * 2 * MIB)
        assert client.status() == 403


@pytest.mark.parametrize("header", ["Transfer-Encoding: chunked", f"Content-Length: {24 * MIB}"])
def test_nothing_is_kept_of_what_git_has_not_read(root: Path, header: str) -> None:
    write_gate(root, "sleep 30")
    with serving(root) as port:
        client = Client(port).begin("POST", PUSH, header)
        if "chunked" in header:
            client.send(b"1800000\r\n")
        # The kernel and two buffers hold some 9 MiB. A server that kept the data would take all of
        # it.
        assert client.sends_at_most(24 * MIB, 2) < 16 * MIB
        client.close()


@pytest.mark.parametrize(("target", "most"), [(PUSH, 32 * MIB), (FETCH, MIB)])
def test_more_than_a_request_may_bring_is_refused_before_it_is_read(
    root: Path, target: str, most: int
) -> None:
    write_gate(root, DISCARD)
    with serving(root) as port:
        too_much = Client(port).begin("POST", target, f"Content-Length: {most + 1}").answer()
        allowed = Client(port).begin("POST", target, f"Content-Length: {most}")
        assert allowed.sends_at_most(MIB, 5) == MIB
        allowed.close()
    assert f"more than {most // MIB} MiB in a request" in too_much


def test_uploads_of_one_learner_hold_nobody_else_up(root: Path) -> None:
    write_gate(root, f"[ $REQUEST_METHOD = GET ] || {{ touch {root}/begun; sleep 30; }}; {HELLO}")
    with serving(root) as port:
        uploads = [
            Client(port).begin("POST", PUSH, f"Content-Length: {16 * MIB}") for _ in range(10)
        ]
        uploads[0].send(b"x" * LONG_BYTES)
        assert wait_until((root / "begun").exists, 10, 0.02)
        started = time.monotonic()
        assert Client(port, "bob").begin("GET", FETCH).status() == 200
        assert time.monotonic() - started < 1
        for upload in uploads:
            upload.close()


def test_one_push_at_a_time_is_looked_at_for_a_repository(root: Path) -> None:
    write_gate(
        root,
        f"mkdir {root}/busy || touch {root}/twice; cat >/dev/null; sleep 0.2;"
        f" rmdir {root}/busy; {HELLO}",
    )
    with serving(root) as port:
        pushes = [Client(port).begin("POST", PUSH, LENGTH) for _ in range(3)]
        for push in pushes:
            push.send(b"hello")
        assert [push.status() for push in pushes] == [200, 200, 200]
    assert not (root / "twice").exists()


@pytest.mark.parametrize("service", ["git-upload-pack", "git-receive-pack"])
def test_bodies_that_do_not_come_hold_up_no_other_user(root: Path, service: str) -> None:
    hostile = ("ada", "bob", "cyd", "dan")
    write_accounts(root, *hostile, "eve", "flux")
    write_gate(root, DISCARD)
    with serving(root) as port:
        slow = [
            Client(port, user).begin("POST", f"/{user}/lab.git/{service}", LENGTH)
            for user in hostile
            for _ in range(4)
        ]
        for client in slow:
            client.send(b"he")
        started = time.monotonic()
        for user, method, target in (
            ("flux", "GET", "/eve/lab.git/info/refs"),
            ("flux", "POST", "/eve/lab.git/git-upload-pack"),
            ("eve", "GET", "/eve/lab.git/info/refs"),
            ("eve", "POST", "/eve/lab.git/git-upload-pack"),
            ("eve", "POST", "/eve/lab.git/git-receive-pack"),
        ):
            client = Client(port, user).begin(method, target, LENGTH)
            client.send(b"hello")
            assert client.status() == 200
        assert time.monotonic() - started < 5
        for client in slow:
            client.close()


def test_long_pushes_hold_up_no_short_one(root: Path) -> None:
    hostile = ("ada", "bob", "cyd", "dan")
    write_accounts(root, *hostile, "eve")
    write_gate(root, f"echo >>{root}/begun; cat >/dev/null; {HELLO}")
    with serving(root) as port:
        length = f"Content-Length: {2 * LONG_BYTES}"
        slow = [
            Client(port, user).begin("POST", f"/{user}/lab.git/git-receive-pack", length)
            for user in hostile
        ]
        for client in slow:
            client.send(b"x" * LONG_BYTES)
        assert wait_until(lambda: count(root / "begun") == 2, 10, 0.02)
        short = Client(port, "eve").begin("POST", "/eve/lab.git/git-receive-pack", LENGTH)
        short.send(b"hello")
        assert short.status() == 200
        # Two of the long ones, and the short one.
        assert count(root / "begun") == 3
        for client in slow:
            client.close()


def test_pushes_to_somebody_elses_repository_hold_up_none_of_theirs(root: Path) -> None:
    write_accounts(root, "ada", "bob", "eve")
    write_gate(root, f"echo >>{root}/begun; cat >/dev/null; {HELLO}")
    with serving(root, Limits(long_pushes=1)) as port:
        length = f"Content-Length: {2 * LONG_BYTES}"
        first, second = (
            Client(port, user).begin("POST", f"/{whose}/lab.git/git-receive-pack", length)
            for user, whose in (("ada", "ada"), ("bob", "eve"))
        )
        first.send(b"x" * LONG_BYTES)
        assert wait_until(lambda: count(root / "begun") == 1, 10, 0.02)
        # The place for long pushes is taken, and so this one waits.
        second.send(b"x" * LONG_BYTES)
        assert not wait_until(lambda: count(root / "begun") > 1, 0.5, 0.02)
        short = Client(port, "eve").begin("POST", "/eve/lab.git/git-receive-pack", LENGTH)
        short.send(b"hello")
        assert short.status() == 200
        first.close()
        second.close()


def test_flux_and_the_instructor_have_places_that_no_learner_takes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "_WAIT_SECONDS", 0.5)
    write_accounts(root, "ada", "spare-1", "bob", "flux", "instructor")
    write_gate(
        root,
        f"case $REMOTE_USER in flux | instructor) {HELLO} ;;"
        f" *) echo >>{root}/begun; sleep 30 ;; esac",
    )
    kinds = (("GET", "info/refs"), ("POST", "git-upload-pack"), ("POST", "git-receive-pack"))
    with serving(root, Limits(questions=2, fetches=2, pushes=2)) as port:
        busy = [
            Client(port, user).begin(method, f"/{user}/lab.git/{path}")
            for user in ("ada", "spare-1")
            for method, path in kinds
        ]
        assert wait_until(lambda: count(root / "begun") == len(busy), 10, 0.02)
        assert Client(port, "bob").begin("GET", "/bob/lab.git/info/refs").status() == 503
        for user in ("flux", "instructor"):
            for method, path in kinds:
                asked = Client(port, user).begin(method, f"/platform.git/{path}")
                assert f"hello {user}" in asked.answer()
        for client in busy:
            client.close()


def test_pages_wait_for_no_place_among_the_requests_to_repositories(root: Path) -> None:
    write_accounts(root, "ada", "eve")
    write_gate(root, f"echo >>{root}/begun; sleep 30")
    with serving(root, Limits(questions=1, fetches=1)) as port:
        busy = [Client(port).begin(method, FETCH) for method in ("GET", "POST")]
        assert wait_until(lambda: count(root / "begun") == 2, 10, 0.02)
        # Nothing was written for her.
        assert Client(port, "eve").begin("GET", "/~/").status() == 404
        for client in busy:
            client.close()


def count(file: Path) -> int:
    """Return how many lines a file has, none without the file."""
    return file.read_text().count("\n") if file.exists() else 0


def test_a_client_that_does_not_read_its_answer_is_hung_up_on(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "_SECONDS", 0.3)
    write_gate(root, rf"printf 'Content-Type: a/b\r\n\r\n'; echo $$ >{root}/pids; exec yes")
    with serving(root) as port:
        client = Client(port).begin("GET", FETCH)
        assert wait_until(lambda: len(pids(root)) == 1, 10, 0.02)
        assert wait_until(lambda: not any(map(runs, pids(root))), 10, 0.02)
        client.close()


@pytest.mark.parametrize("size", [LONG_BYTES - 1, LONG_BYTES])
def test_a_push_that_brings_much_makes_way_for_others(root: Path, size: int) -> None:
    write_gate(root, r"cat >/dev/null; printf 'Content-Type: text/plain\r\n\r\n'; echo at $(nice).")
    with serving(root) as port:
        client = Client(port).begin("POST", PUSH, f"Content-Length: {size}")
        client.send(b"x" * size)
        niceness = WAY if size >= LONG_BYTES else os.nice(0)
        assert f"at {niceness}." in client.answer()


def test_whoever_has_no_turn_is_told_so(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_WAIT_SECONDS", 0.3)
    write_gate(root, f"touch {root}/begun; sleep 30")
    with serving(root) as port:
        first = Client(port).begin("POST", PUSH, LENGTH)
        first.send(b"hello")
        assert wait_until((root / "begun").exists, 10, 0.02)
        second = Client(port).begin("POST", PUSH, LENGTH)
        second.send(b"hello")
        said = second.answer()
        assert "\3refused: too many requests at once" in said
        first.close()


def test_no_user_has_more_requests_than_the_limit(root: Path) -> None:
    write_gate(root, f"touch {root}/$$.begun; sleep 30")
    limits = Limits(of_a_user=2, waiting=3)
    with serving(root, limits) as port:
        clients = [Client(port).begin("GET", FETCH) for _ in range(3)]
        assert wait_until(lambda: len(list(root.glob("*.begun"))) == 2, 10, 0.02)
        assert Client(port).begin("GET", FETCH).status() == 503
        for client in clients:
            client.close()


def test_a_user_has_four_requests_at_once(root: Path) -> None:
    write_gate(root, f"touch {root}/$$.begun; sleep 30")

    def begun() -> int:
        return len(list(root.glob("*.begun")))

    with serving(root) as port:
        clients = [Client(port).begin("GET", FETCH) for _ in range(6)]
        assert wait_until(lambda: begun() == 4, 10, 0.02)
        assert not wait_until(lambda: begun() > 4, 0.5, 0.02)
        for client in clients:
            client.close()


def test_a_request_ends_with_its_children_when_its_time_is_over(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "PUSH_SECONDS", 0.5)
    write_gate(
        root, rf"printf 'Content-Type: a/b\r\n\r\n'; sleep 61 & echo $! $$ >{root}/pids; wait"
    )
    with serving(root) as port:
        client = Client(port).begin("POST", PUSH, LENGTH)
        client.send(b"hello")
        said = client.answer()
        assert "\3refused: this took longer than" in said
        assert said.endswith("0\r\n\r\n")
        assert wait_until(lambda: not any(map(runs, pids(root))), 10, 0.02)


def test_a_request_ends_with_its_children_when_its_client_leaves(root: Path) -> None:
    # The gate ignores SIGTERM.
    write_gate(root, f"trap '' TERM; cat >/dev/null; sleep 61 & echo $! $$ >{root}/pids; wait")
    with serving(root) as port:
        client = Client(port).begin("POST", PUSH, LENGTH)
        client.send(b"hello")
        assert wait_until(lambda: len(pids(root)) == 2, 10, 0.02)
        client.close()
        assert wait_until(lambda: not any(map(runs, pids(root))), 10, 0.02)


def pids(root: Path) -> list[int]:
    file = root / "pids"
    return [int(word) for word in file.read_text().split()] if file.exists() else []


def test_who_says_nothing_is_hung_up_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.3)
    with serving(root) as port:
        silent = Client(port)
        silent.send(b"GET / HTTP/1.1\r\n")
        assert silent.answer() == ""


@pytest.mark.parametrize(("target", "begins"), [(PUSH, "HTTP/1.1 200 "), (FETCH, "HTTP/1.1 408 ")])
def test_who_begins_a_body_and_does_not_go_on_is_told_why_it_ends(
    root: Path, monkeypatch: pytest.MonkeyPatch, target: str, begins: str
) -> None:
    monkeypatch.setattr(uploads, "_SECONDS", 0.3)
    write_gate(root, f"touch {root}/reached; {DISCARD}")
    with serving(root) as port:
        slow = Client(port).begin("POST", target, LENGTH)
        slow.send(b"he")
        said = slow.answer()
    assert said.startswith(begins)
    assert "refused: this came too slowly" in said
    assert ("\3refused" in said) == (target == PUSH)
    assert not (root / "reached").exists()


@pytest.mark.parametrize("limits", [Limits(strangers=5), Limits(connections=5)])
def test_silent_connections_keep_nobody_out(root: Path, limits: Limits) -> None:
    write_gate(root, HELLO)
    with serving(root, limits) as port:
        silent = [Client(port) for _ in range(20)]
        assert [Client(port).begin("GET", FETCH).status() for _ in range(10)] == [200] * 10
        assert silent[0].answer() == ""
        for client in silent:
            client.close()


def test_connections_without_a_handshake_keep_nobody_out(
    root: Path, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    write_gate(root, HELLO)
    serves, trusting = contexts
    with serving(root, Limits(strangers=5), serves) as port:
        silent = [Client(port) for _ in range(20)]
        # Their own time for the handshake is over only after ten seconds.
        silent[0].socket.settimeout(5)
        with trusting.wrap_socket(Client(port).socket, server_hostname="127.0.0.1") as client:
            client.sendall(ASKED)
            assert client.recv(12) == b"HTTP/1.1 200"
        assert silent[0].answer() == ""
        for one in silent:
            one.close()


def test_who_does_not_finish_the_handshake_is_hung_up_on(
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    monkeypatch.setattr(server, "_HEAD_SECONDS", 0.3)
    with serving(root, tls=contexts[0]) as port:
        assert Client(port).answer() == ""


def test_a_request_may_come_together_with_the_end_of_the_handshake(
    root: Path, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    write_gate(root, HELLO)
    serves, trusting = contexts
    received, to_send = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting.wrap_bio(received, to_send, server_hostname="127.0.0.1")
    with serving(root, tls=serves) as port, Client(port).socket as connection:
        finished = False
        while not finished:
            try:
                client.do_handshake()
                finished = True
            except ssl.SSLWantReadError:
                receive(connection, received, to_send)
        client.write(ASKED)
        answer = b""
        while not answer:
            try:
                answer = client.read(12)
            except ssl.SSLWantReadError:
                receive(connection, received, to_send)
    assert answer == b"HTTP/1.1 200"


def receive(connection: socket.socket, received: ssl.MemoryBIO, to_send: ssl.MemoryBIO) -> None:
    """Send what a client of TLS has to send, and have it receive what comes then."""
    connection.sendall(to_send.read())
    data = connection.recv(65536)
    assert data
    received.write(data)


def test_requests_that_are_at_work_lose_their_connection_to_nobody(root: Path) -> None:
    wait = f"until [ -e {root}/go ]; do sleep 0.05; done"
    write_gate(root, f"touch {root}/$REMOTE_USER; {wait}; {DISCARD}")
    with serving(root, Limits(strangers=5, connections=8)) as port:
        asked = (("ada", PUSH), ("bob", FETCH))
        at_work = [Client(port, user).begin("POST", path, LENGTH) for user, path in asked]
        for client in at_work:
            client.send(b"hello")
        assert wait_until(lambda: (root / "ada").exists() and (root / "bob").exists(), 10, 0.02)
        silent = [Client(port) for _ in range(20)]
        assert silent[0].answer() == ""
        (root / "go").touch()
        assert [client.status() for client in at_work] == [200, 200]
        for client in silent:
            client.close()


def test_a_head_without_an_end_is_refused(root: Path) -> None:
    write_gate(root, HELLO)
    with serving(root) as port:
        assert Client(port).begin("GET", FETCH, f"X: {'a' * 40_000}").status() == 431


def write_repository(root: Path) -> Path:
    """Have git itself answer for an empty repository of ada's, and return its path."""
    bare = root / "repositories/ada/lab.git"
    git("init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    (root / "etc").mkdir()
    (root / "etc/gitconfig").write_text("[safe]\n\tdirectory = *\n")
    write_gate(root, f"exec {git('--exec-path').strip()}/git-http-backend")
    return bare


def url_of(port: int) -> str:
    """Return where ada's repository is served, with her login."""
    return f"http://ada:{PASSWORD}@127.0.0.1:{port}/ada/lab.git"


def test_git_clones_and_pushes_more_than_it_has_a_length_for(root: Path) -> None:
    write_repository(root)
    with serving(root) as port:
        url = url_of(port)
        clone = root / "clone"
        git("clone", "--quiet", url, str(clone))
        (clone / "noise").write_bytes(os.urandom(3 * MIB))
        git("-C", str(clone), "add", ".")
        git("-C", str(clone), "commit", "--quiet", "--message", "a")
        git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")
        git("clone", "--quiet", url, str(root / "again"))
    assert (root / "again/noise").read_bytes() == (clone / "noise").read_bytes()


# What only the server's own user can write into a repository's configuration.
@pytest.mark.parametrize("hooks", [None, "/nonexistent"])
def test_no_repository_says_which_hooks_are_run(root: Path, hooks: str | None) -> None:
    bare = write_repository(root)
    with (root / "etc/gitconfig").open("a") as configuration:
        configuration.write(f"[core]\n\thooksPath = {root}/etc/hooks\n")
    (root / "etc/hooks").mkdir()
    write_program(root / "etc/hooks/pre-receive", "#!/bin/sh\necho 'not this' >&2\nexit 1\n")
    if hooks is not None:
        git("--git-dir", str(bare), "config", "core.hooksPath", hooks)
    clone = root / "clone"
    with serving(root) as port:
        git("clone", "--quiet", url_of(port), str(clone))
        git("-C", str(clone), "commit", "--quiet", "--allow-empty", "--message", "a")
        with pytest.raises(subprocess.CalledProcessError) as refused:
            git("-C", str(clone), "push", "--quiet", "origin", "HEAD:main")
    assert "remote: not this" in refused.value.stderr
    assert git("--git-dir", str(bare), "for-each-ref") == ""


def git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org", *arguments],
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
