"""The part of HTTP that the Git server reads, and the ambiguities that it refuses."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator

import pytest

from sopslab.gitserver.protocol import Refused, Request, body, inflated, parse, push_error

CHUNKED = "Transfer-Encoding: chunked"


def request(*lines: str) -> Request:
    return parse("\r\n".join([*lines, "", ""]).encode("latin-1"))


def test_a_request_is_its_line_and_its_headers() -> None:
    found = request("GET /ada/lab.git/info/refs?service=git-upload-pack HTTP/1.1", "Host: a",
                    "Git-Protocol:  version=2 ")  # fmt: skip
    assert found.path == "/ada/lab.git/info/refs"
    assert found.query == "service=git-upload-pack"
    assert found.headers == {"host": "a", "git-protocol": "version=2"}
    assert not found.is_push
    assert request("GET /a?b?c HTTP/1.1").query == "b?c"


def test_a_push_is_told_by_its_method_and_its_path() -> None:
    assert request("POST /ada/lab.git/git-receive-pack HTTP/1.1").is_push
    assert not request("GET /ada/lab.git/git-receive-pack HTTP/1.1").is_push
    assert not request("POST /ada/lab.git/git-upload-pack HTTP/1.1").is_push


def says_why(refused: Refused) -> bool:
    """Return whether the client gets more than a status: a sentence has several words."""
    return len(str(refused).split()) > 1


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        (["GET /"], 400),
        (["GET  / HTTP/1.1"], 400),
        (["GET http://elsewhere/ HTTP/1.1"], 400),
        (["GET /\x00 HTTP/1.1"], 400),
        (["GET / HTTP/1.0"], 505),
        (["DELETE / HTTP/1.1"], 405),
        (["GET / HTTP/1.1", " folded: a"], 400),
        (["GET / HTTP/1.1", "A : b"], 400),
        (["GET / HTTP/1.1", "A: b\nC: d"], 400),
        (["POST / HTTP/1.1", "Content-Length: 1", "Content-Length: 2"], 400),
        (["POST / HTTP/1.1", "Content-Length: +1"], 400),
        (["POST / HTTP/1.1", "Content-Length: 1", "Transfer-Encoding: chunked"], 400),
        (["POST / HTTP/1.1", "Transfer-Encoding: gzip, chunked"], 501),
        (["GET / HTTP/1.1", "Authorization: Basic a", "Authorization: Basic b"], 400),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused(lines: list[str], status: int) -> None:
    with pytest.raises(Refused) as refused:
        request(*lines)
    assert refused.value.status.startswith(str(status))
    assert says_why(refused.value)


def read(data: bytes, most: int = 100, header: str = CHUNKED) -> bytes:
    async def pieces() -> bytes:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        return b"".join([piece async for piece in body(reader, posted, most)])

    posted = request("POST / HTTP/1.1", header)
    return asyncio.run(pieces())


def test_chunks_are_put_together() -> None:
    assert read(b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: a\r\n\r\n") == b"abcde"


def test_a_body_is_as_long_as_it_says() -> None:
    assert read(b"abcde", header="Content-Length: 3") == b"abc"
    assert read(b"abcde", header="Content-Length: 0") == b""
    assert read(b"abcde", header="Host: without-a-length") == b""


@pytest.mark.parametrize("data", [b"3\r\nab", b"3\r\nabc\r\n", b"3\r\n"])
def test_a_body_that_ends_early_is_no_body(data: bytes) -> None:
    with pytest.raises(EOFError):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        b"-1\r\n",
        b"0x1\r\na\r\n",
        b"\r\n",
        b"1\r\nab\r\n",
        b"fffffffff\r\n",
        b"1;" + b"x" * 70_000 + b"\r\na\r\n",
        b"0\r\n" + b"Trailer: a\r\n" * 16 + b"\r\n",
    ],
)
def test_chunks_that_are_not_well_formed_are_refused(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        read(data)
    assert refused.value.status == "400 Bad Request"
    assert says_why(refused.value)


def test_a_body_may_have_a_few_trailers() -> None:
    assert read(b"1\r\na\r\n0\r\n" + b"Trailer: a\r\n" * 15 + b"\r\n") == b"a"


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (b"65\r\n" + b"a" * 101, CHUNKED),
        (b"40\r\n" + b"a" * 64 + b"\r\n40\r\n", CHUNKED),
        (b"", "Content-Length: 101"),
    ],
)
def test_a_body_that_is_too_long_is_refused_before_it_is_read(data: bytes, header: str) -> None:
    with pytest.raises(Refused) as refused:
        read(data, header=header)
    assert refused.value.status.startswith("413")
    assert says_why(refused.value)


@pytest.mark.parametrize(
    ("data", "header"),
    [
        (b"64\r\n" + b"a" * 100 + b"\r\n0\r\n\r\n", CHUNKED),
        (b"32\r\n" + b"a" * 50 + b"\r\n32\r\n" + b"a" * 50 + b"\r\n0\r\n\r\n", CHUNKED),
        (b"a" * 100, "Content-Length: 100"),
    ],
)
def test_a_body_may_be_as_long_as_the_limit(data: bytes, header: str) -> None:
    assert read(data, header=header) == b"a" * 100


def unpacked(*parts: bytes, most: int = 10**6) -> bytes:
    async def pieces() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    async def run() -> bytes:
        return b"".join([piece async for piece in inflated(pieces(), most)])

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 100, 10**6])
def test_a_compressed_body_is_what_it_holds(size: int) -> None:
    held = bytes(200_000) + b"the end"
    data = gzip.compress(held) + b"and more"
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    assert unpacked(*parts) == held


def test_a_compressed_body_may_hold_as_much_as_any_other() -> None:
    data = gzip.compress(bytes(200_000))
    assert len(unpacked(data, most=200_000)) == 200_000
    with pytest.raises(Refused) as refused:
        unpacked(data, most=199_999)
    assert refused.value.status.startswith("413")


@pytest.mark.parametrize(
    "data",
    [b"", b"0000", gzip.compress(b"0000", mtime=0)[:-1], b"\x1f\x8b junk"],
    ids=["empty", "not compressed", "cut off", "a head alone"],
)
def test_what_is_no_compressed_body_is_refused(data: bytes) -> None:
    with pytest.raises(Refused) as refused:
        unpacked(data)
    assert refused.value.status.startswith("400")


def test_an_error_is_a_packet_of_gits() -> None:
    assert push_error("no") == b"0008\3no\n"
