"""Files fetched over HTTP: complete or not at all, in bounded time, and with the cause of a
failure."""

from __future__ import annotations

import http.server
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typing_extensions import override

from sopslab.lab.observe.store import answers
from sopslab.lab.tools import web
from sopslab.lab.tools.web import Unavailable, download

CONTENT = b"content" * 40_000


class _Handler(http.server.BaseHTTPRequestHandler):
    asked: list[str]

    def do_GET(self) -> None:
        self.asked.append(f"{self.command} {self.path}")
        if "moved" in self.path:
            self._head(302, ("Location", "/file"))
        elif "gone" in self.path:
            self.send_error(404)
        elif "round" in self.path:
            self._head(302, ("Location", self.path))
        else:
            length = "many" if "endless" in self.path else str(len(CONTENT))
            self._head(200, ("Content-Length", length))
            if self.command == "GET":
                self._body()

    do_HEAD = do_GET

    def _head(self, status: int, header: tuple[str, str]) -> None:
        self.send_response(status)
        self.send_header(*header)
        self.end_headers()

    def _body(self) -> None:
        if "slow" not in self.path:
            self.wfile.write(CONTENT[: 9 if "half" in self.path else None])
            return
        with suppress(ConnectionError):
            for number in range(100):
                self.wfile.write(CONTENT[number : number + 1])
                time.sleep(0.05)

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server on loopback."""
    for name in ("http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    _Handler.asked = []
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.fixture
def silent() -> Iterator[str]:
    """The address of a server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


@pytest.mark.parametrize("path", ["file", "moved"])
def test_a_file_is_fetched_also_where_it_has_moved(path: str, server: str, tmp_path: Path) -> None:
    download(f"{server}/{path}", tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "cause"),
    [
        ("gone", "HTTP status 404"),
        ("half", f"9 of {len(CONTENT)} bytes came"),
        ("round", "HTTP status 302"),
    ],
)
def test_why_a_file_could_not_be_fetched_is_told(
    path: str, cause: str, server: str, tmp_path: Path
) -> None:
    with pytest.raises(Unavailable) as failed:
        download(f"{server}/{path}", tmp_path / "file")
    assert str(failed.value) == cause


def test_a_length_that_is_no_number_ends_in_a_cause_or_a_file(server: str, tmp_path: Path) -> None:
    try:
        download(f"{server}/endless", tmp_path / "file")
    except Unavailable as cause:
        assert str(cause)
    else:
        assert (tmp_path / "file").read_bytes() == CONTENT
    assert _Handler.asked == ["GET /endless"]


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_a_proxy_that_speaks_no_http_is_named_before_anything_is_asked(
    name: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, server.replace("http", "socks5h"))
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(Unavailable, match="socks5h"):
        download("http://releases.invalid/file", tmp_path / "file")
    with pytest.raises(Unavailable, match="socks5h"):
        answers("http://releases.invalid/file")
    assert _Handler.asked == []


def test_a_host_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"^Connection refused$"):
        download("http://127.0.0.1:9/file", tmp_path / "file")
    with pytest.raises(Unavailable, match=r"^(Name or service not known|Temporary failure.*)$"):
        download("http://host.invalid/file", tmp_path / "file")


def test_who_says_nothing_is_not_waited_for_forever(
    silent: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_STALL_S", 0.3)
    with pytest.raises(Unavailable, match="timed out"):
        download(f"{silent}/file", tmp_path / "file")


def test_who_comes_to_almost_nothing_is_left(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_STALL_S", 0.4)
    monkeypatch.setattr(web, "_LEAST_BYTES", 400)
    with pytest.raises(Unavailable, match=r"less than 1 KiB/s came for 0\.4 s"):
        download(f"{server}/slow", tmp_path / "file")


def test_a_file_that_takes_too_long_in_all_is_left(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web, "_WHOLE_S", 0.4)
    with pytest.raises(Unavailable, match=r"it was not complete within 0\.4 s"):
        download(f"{server}/slow", tmp_path / "file")


@pytest.mark.parametrize("name", ["http_proxy", "all_proxy"])
def test_the_proxy_of_the_environment_is_asked(
    name: str, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, server)
    monkeypatch.setenv("no_proxy", "")
    download("http://releases.invalid/file", tmp_path / "file")
    assert _Handler.asked == ["GET http://releases.invalid/file"]


def test_a_page_answers_without_being_fetched(server: str) -> None:
    assert answers(f"{server}/file")
    assert answers(f"{server}/moved")
    assert not answers(f"{server}/gone")
    assert not answers("http://127.0.0.1:9/file")
    assert _Handler.asked[0] == "HEAD /file"


def test_a_page_that_says_nothing_does_not_answer(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sopslab.lab.observe.store._PROBE_S", 0.3)
    began = time.monotonic()
    assert not answers(f"{silent}/file")
    assert time.monotonic() - began < 5
