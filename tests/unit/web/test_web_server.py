"""The board as a real server on loopback: who is let in, what changes, and how the server ends."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from sopslab.errors import LabError
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.progress import Change
from sopslab.model.results import Undecided
from sopslab.web import hub, server, watcher
from sopslab.web.app import HEADERS
from sopslab.web.pages import Variant
from sopslab.web.state import State
from tests.unit.web.web_material import (
    ALL,
    STUCK,
    TOKEN,
    Board,
    Look,
    Memory,
    found,
    row,
    seat,
    serving,
)

# The counts have an element of this class, too.
DONE_ROW = '<tr id="r-ada" class="done">'


@pytest.fixture
def board() -> Iterator[Board]:
    """A board of one learner."""
    with serving() as one:
        yield one


@pytest.fixture(scope="module")
def closed() -> Iterator[Board]:
    """A board of one learner, shared by tests that change nothing."""
    with serving() as one:
        yield one


# What changes


def test_a_viewer_sees_what_changes_within_three_seconds(board: Board) -> None:
    stream = board.stream()
    assert "<b>1</b> working" in stream.event()[1]
    began = time.monotonic()
    board.look.now = found(row(ALL, seat("ada")))

    stream.until(DONE_ROW)
    assert time.monotonic() - began < 3
    stream.close()


def test_a_board_that_goes_on_forgets_a_seat_that_was_archived() -> None:
    look, records = Look(found(row(ALL, seat("bob")))), Memory()
    board = watcher.Watcher(look, records, lambda _state: None)
    board._look_once()
    assert ("bob", "key") in board.state.latest
    look.now, records.changes = found(row(ALL, seat("ada"))), []
    board._look_once()
    assert {one.seat for one in board.state.changes} == {"ada"}
    assert {seat for seat, _ in board.state.latest} == {"ada"}


def test_what_a_viewer_has_already_is_not_sent(board: Board) -> None:
    version = board.server.hub.state.version
    stream = board.stream(f"?seen={version}")
    board.look.now = found(row(ALL, seat("ada")))

    assert stream.event()[0] != version
    stream.close()


def test_who_was_connected_to_a_board_that_ended_is_told_anew(board: Board) -> None:
    with serving(Look(board.look.now)) as other:
        stream = other.stream(f"?seen={board.server.hub.state.version}")
        assert "Ada" in stream.event()[1]
        stream.close()


def test_a_stream_without_news_shows_that_it_is_there(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_PING_S", 0.05)
    stream = board.stream()
    stream.event()

    assert stream.event() == ("", "")
    stream.close()


def test_twenty_viewers_have_one_page_made_for_them(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = []
    render = board.server.pages._render

    def counted(state: State, variant: Variant) -> str:
        made.append(state.version)
        return render(state, variant)

    monkeypatch.setattr(board.server.pages, "_render", counted)
    streams = [board.stream() for _ in range(20)]
    for stream in streams:
        stream.event()
    board.look.now = found(row(ALL, seat("ada")))
    pages = {stream.until(DONE_ROW) for stream in streams}

    assert len(pages) == 1
    assert len(made) == len(set(made))
    for stream in streams:
        stream.close()


def test_who_vanishes_is_watched_for_no_more(board: Board) -> None:
    streams = [board.stream() for _ in range(3)]
    for stream in streams:
        stream.event()
    assert board.server.hub._viewers == 3
    for stream in streams:
        stream.close()

    assert wait_until(lambda: board.server.hub._viewers == 0, 10, 0.02)


def test_nobody_is_looked_for_as_often_as_somebody(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "EVERY_S", 0.05)
    monkeypatch.setattr(watcher, "_PAUSE_S", 0.01)
    before = board.look.times
    stream = board.stream()
    assert wait_until(lambda: board.look.times > before + 5, 10, 0.02)
    stream.close()
    assert wait_until(lambda: board.server.hub._viewers == 0, 10, 0.02)
    # Two more looks are allowed: the one under way, and the one before the longer pause.
    most = board.look.times + 2
    time.sleep(0.5)
    assert board.look.times <= most


def test_who_comes_sees_the_class_as_it_is_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watcher, "_UNWATCHED_S", 600.0)
    monkeypatch.setattr(watcher, "EVERY_S", 600.0)
    with serving() as board:
        board.look.now = found(row(ALL, seat("ada")))
        stream = board.stream()
        stream.until(DONE_ROW)
        stream.close()


def test_a_page_that_is_asked_for_again_and_again_is_watched_too(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "EVERY_S", 0.05)
    monkeypatch.setattr(watcher, "_PAUSE_S", 0.01)
    before = board.look.times
    board.ask()
    assert wait_until(lambda: board.look.times > before + 5, 10, 0.02)


def test_what_changes_can_be_asked_for_without_a_stream(board: Board) -> None:
    path = f"/{TOKEN}/main"
    status, headers, body = board.ask(path)
    assert (status, headers["etag"]) == (200, f'"{board.server.hub.state.version}"')
    assert body == board.server.pages.main(board.server.hub.state, Variant())
    assert board.ask(path, mark=headers["etag"])[::2] == (304, "")
    board.look.now = found(row(ALL, seat("ada")))
    assert wait_until(lambda: board.ask(path, mark=headers["etag"])[0] == 200, 10, 0.02)


# What cannot be seen


@pytest.mark.parametrize(
    ("failure", "said"),
    [
        (LabError("the roster cannot be read: <b>repair</b> it"), "&lt;b&gt;repair"),
        (Undecided("kubectl did not answer"), "kubectl did not answer"),
        (KeyError("secret-name"), "ended with KeyError"),
    ],
)
def test_a_look_that_fails_is_said_beside_what_was_seen_last(
    board: Board, failure: Exception, said: str
) -> None:
    stream = board.stream()
    stream.event()
    board.look.failure = failure
    page = stream.until('id="trouble"')

    assert said in page
    assert "secret-name" not in page
    assert '<tr id="r-ada"' in page
    assert "What is below is of <time" in page
    board.look.failure = None
    assert 'id="trouble"' not in stream.until("r-ada")
    stream.close()


def test_a_board_that_has_seen_nothing_yet_says_so() -> None:
    with serving(Look(failure=LabError("there is no lab"))) as board:
        assert wait_until(lambda: bool(board.server.hub.state.trouble), 10, 0.02)
        _, _, page = board.ask()

    assert "there is no lab" in page
    assert "The first look is under way." in page


def test_a_full_disk_is_said_and_the_page_goes_on(board: Board) -> None:
    stream = board.stream()
    stream.event()
    board.records.broken = OSError(28, "No space left on device")
    board.look.now = found(row(ALL, seat("ada")))

    page = stream.until(DONE_ROW)
    assert "cannot be kept on this machine: No space left on device" in page
    stream.close()


# What is kept


def test_what_changes_is_recorded_and_each_row_is_published(board: Board) -> None:
    assert wait_until(lambda: bool(board.records.rows), 10, 0.02)
    stream = board.stream()
    stream.event()
    board.look.now = found(row(STUCK, seat("ada")))
    stream.until('<tr id="r-ada" class="stuck">')
    stream.close()

    assert board.records.rows == board.look.now.rows
    (last,) = [one for one in board.records.changes if one.stuck]
    assert (last.seat, last.step, last.progress) == ("ada", "applied", "no")


def test_since_when_survives_the_end_of_a_board() -> None:
    now = time.time()
    before = [Change(now - 620, "ada", "applied", "no", stuck=True)]
    with serving(Look(found(row(STUCK, seat("ada")))), Memory(before)) as board:
        _, _, page = board.ask()

    assert "10 min</time>" in page


def test_rows_are_withdrawn_when_the_board_ends() -> None:
    records = Memory()
    with serving(records=records):
        assert wait_until(lambda: bool(records.rows), 10, 0.02)

    assert records.rows is None


# Who is let in


@pytest.mark.parametrize(
    "path",
    [
        "/",
        f"/{TOKEN}",
        "/wrong/",
        f"/{TOKEN}x/",
        f"/{TOKEN[:-1]}/",
        "//",
        f"//{TOKEN}/",
        "/wrong/board.css",
        "/board.css",
        "/favicon.ico",
        "/%C3%BC/",
        f"/{TOKEN}/nothing",
        f"/{TOKEN}/../{TOKEN}/etc",
    ],
)
def test_without_the_token_nothing_is_there(closed: Board, path: str) -> None:
    status, headers, body = closed.ask(path)

    assert status == 404
    assert len(body) < 20
    assert "Ada" not in body
    assert {name.lower() for name in HEADERS} <= headers.keys()


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "localhost:{port}.", "::1"],
)
def test_a_name_that_is_not_the_boards_is_refused(closed: Board, host: str) -> None:
    status, _, body = closed.ask(host=host.format(port=closed.port))

    assert status == 421
    assert "Ada" not in body


def test_localhost_is_the_boards_name_too(closed: Board) -> None:
    assert closed.ask(host=f"LOCALHOST:{closed.port}")[0] == 200


@pytest.mark.parametrize("count", [0, 2])
def test_a_request_has_one_host(closed: Board, count: int) -> None:
    hosts = f"Host: 127.0.0.1:{closed.port}\r\n" * count
    with socket.create_connection(("127.0.0.1", closed.port), timeout=20) as client:
        client.sendall(f"GET /{TOKEN}/ HTTP/1.0\r\n{hosts}\r\n".encode())
        status = client.makefile("rb").readline()

    assert b" 200 " not in status


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "X"])
@pytest.mark.parametrize("path", ["", "main", "events", "board.css", "nothing"])
def test_nothing_can_be_changed(closed: Board, method: str, path: str) -> None:
    assert closed.ask(f"/{TOKEN}/{path}", method)[0] == 405


@pytest.mark.parametrize("path", ["", "events", "board.css", "board.js"])
def test_head_is_answered_without_a_body(closed: Board, path: str) -> None:
    status, headers, body = closed.ask(f"/{TOKEN}/{path}", "HEAD")

    assert (status, body) == (200, "")
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html; charset=utf-8"),
        ("board.css", "text/css; charset=utf-8"),
        ("board.js", "text/javascript; charset=utf-8"),
    ],
)
def test_every_answer_has_the_headers_that_keep_others_out(
    closed: Board, path: str, kind: str
) -> None:
    status, headers, _ = closed.ask(f"/{TOKEN}/{path}")

    assert status == 200
    assert headers["content-type"] == kind
    assert {name: headers[name.lower()] for name in HEADERS} == HEADERS
    assert "server" not in headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


def test_who_asks_for_nothing_is_hung_up_on(monkeypatch: pytest.MonkeyPatch, board: Board) -> None:
    monkeypatch.setattr(server, "_HEAD_S", 0.2)
    with socket.create_connection(("127.0.0.1", board.port), timeout=20) as silent:
        silent.sendall(b"GET ")
        assert silent.recv(1) == b""


@pytest.mark.parametrize("body", [b"", b"Content-Length: 1000000\r\n"])
def test_who_has_asked_once_has_to_ask_again(
    monkeypatch: pytest.MonkeyPatch, board: Board, body: bytes
) -> None:
    """A client that sends a byte now and then, of another head or of an endless body, is
    disconnected."""
    monkeypatch.setattr(server, "_HEAD_S", 0.3)
    head = f"GET /{TOKEN}/board.css HTTP/1.1\r\nHost: 127.0.0.1:{board.port}\r\n".encode()
    with socket.create_connection(("127.0.0.1", board.port), timeout=20) as slow:
        slow.sendall(head + body + b"\r\n")
        assert slow.recv(12) == b"HTTP/1.1 200"
        assert wait_until(lambda: _has_ended(slow), 5, 0.02)


def _has_ended(slow: socket.socket) -> bool:
    """Send a byte more; return whether the server has hung up."""
    try:
        slow.sendall(b"G")
        slow.setblocking(False)
        while slow.recv(65536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        return True
    finally:
        slow.settimeout(20)
    return True


@pytest.mark.parametrize(
    ("path", "host"), [("/wrong/", "127.0.0.1:{port}"), (f"/{TOKEN}/", "evil.example")]
)
def test_who_is_not_let_in_holds_no_connection(board: Board, path: str, host: str) -> None:
    host = host.format(port=board.port)
    with socket.create_connection(("127.0.0.1", board.port), timeout=20) as stranger:
        stranger.sendall(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        answers = stranger.makefile("rb").read()

    assert b"connection: close" in answers.lower()


def test_silent_connections_keep_nobody_out(board: Board) -> None:
    silent = [socket.create_connection(("127.0.0.1", board.port), timeout=20) for _ in range(300)]
    try:
        assert board.ask()[0] == 200
        assert len(board.server.server_state.connections) < 100
    finally:
        for one in silent:
            one.close()


def test_no_more_connections_than_the_limit_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "_CONNECTIONS", 4)
    with serving() as board:
        streams = [board.stream() for _ in range(3)]
        for stream in streams:
            stream.event()
        assert board.ask()[0] == 503
        streams.pop().close()
        assert wait_until(lambda: board.ask()[0] == 200, 10, 0.02)
        for stream in streams:
            stream.close()


def test_a_stream_is_not_hung_up_on(monkeypatch: pytest.MonkeyPatch, board: Board) -> None:
    monkeypatch.setattr(server, "_HEAD_S", 0.1)
    monkeypatch.setattr(hub, "_PING_S", 0.3)
    stream = board.stream()
    stream.event()

    assert stream.event() == ("", "")
    stream.close()


# TLS


def test_over_the_network_the_board_has_the_labs_certificate(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    serves, trusting = contexts
    with serving(tls=serves, client_tls=trusting) as board:
        status, _, page = board.ask()
        assert status == 200
        assert "Ada" in page
        with socket.create_connection(("127.0.0.1", board.port), timeout=20) as plain:
            plain.sendall(f"GET /{TOKEN}/ HTTP/1.0\r\n\r\n".encode())
            assert b"Ada" not in plain.makefile("rb").read()


def test_who_does_not_finish_the_handshake_is_hung_up_on(
    monkeypatch: pytest.MonkeyPatch, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    monkeypatch.setattr(server, "_HEAD_S", 0.2)
    with (
        serving(tls=contexts[0]) as board,
        socket.create_connection(("127.0.0.1", board.port), timeout=5) as silent,
    ):
        assert silent.recv(1) == b""


def test_connections_without_a_handshake_keep_nobody_out(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    serves, trusting = contexts
    with serving(tls=serves, client_tls=trusting) as board, ExitStack() as clients:
        where = ("127.0.0.1", board.port)
        # Their own time for the handshake is over only after ten seconds.
        silent = [
            clients.enter_context(socket.create_connection(where, timeout=5)) for _ in range(70)
        ]
        assert board.ask()[0] == 200
        assert silent[0].recv(1) == b""


@pytest.mark.parametrize("tls", [False, True])
def test_silent_connections_of_many_machines_leave_room_for_others(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], monkeypatch: pytest.MonkeyPatch, tls: bool
) -> None:
    monkeypatch.setattr(server, "_STRANGERS_IN_ALL", 4)
    serves, trusting = contexts if tls else (None, None)
    with serving(tls=serves, client_tls=trusting) as board, ExitStack() as clients:
        # Each address of loopback stands for a machine.
        silent = [
            clients.enter_context(
                socket.create_connection(
                    ("127.0.0.1", board.port), timeout=5, source_address=(f"127.0.0.{last}", 0)
                )
            )
            for last in range(2, 9)
        ]
        assert board.ask()[0] == 200
        assert silent[0].recv(1) == b""


# How it ends


def test_it_ends_at_once_with_streams_that_are_open() -> None:
    with serving() as board:
        streams = [board.stream() for _ in range(5)]
        for stream in streams:
            stream.event()
        began = time.monotonic()
    took = time.monotonic() - began

    assert took < 3
    assert all(stream.answer.read() == b"" for stream in streams)


def test_what_serves_it_is_free_of_what_patches_a_process() -> None:
    program = (
        "import sys, sopslab.web.server, sopslab.web.address, sopslab.web.records;"
        "print([name for name in sys.modules if name.split('.')[0] in"
        " ('gevent', 'pyinfra', 'pyinfra_cli', 'kubernetes')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_thread_is_left(board: Board) -> None:
    assert any(thread.name == "watcher" for thread in threading.enumerate())
    with serving() as other:
        own = other.server.watcher._thread
    assert not own.is_alive()
