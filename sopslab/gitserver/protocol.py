"""HTTP/1.1 as git speaks it: one request per connection, a body with a length or in chunks."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

MAX_HEAD = 16 * 1024
"""Bytes of a request before its body."""
_PIECE = 64 * 1024
_REQUEST_LINE = re.compile(r"([A-Z]{1,10}) (/[!-~]*) HTTP/1\.([01])")
_HEADER = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
_ONCE = {"authorization", "content-length", "transfer-encoding"}


class Refused(Exception):
    """A request that is not served; the text is a sentence for the client."""

    def __init__(self, status: str, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True)
class Request:
    """A request without its body. Names of headers are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]

    @property
    def is_push(self) -> bool:
        """Whether the request brings objects and changes of refs."""
        return self.method == "POST" and self.path.endswith("/git-receive-pack")

    @property
    def is_gzip(self) -> bool:
        """Whether git takes the body for gzip: JGit sends pushes so, git only fetches."""
        return self.headers.get("content-encoding") in ("gzip", "x-gzip")


def parse(head: bytes) -> Request:
    """Return the request that begins with `head`, up to its empty line. Raises Refused."""
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    found = _REQUEST_LINE.fullmatch(first)
    if found is None:
        raise Refused("400 Bad Request", "this is not a request of HTTP/1.1")
    method, target, minor = found.groups()
    if minor == "0":
        raise Refused("505 HTTP Version Not Supported", "only HTTP/1.1 is spoken here")
    if method not in ("GET", "HEAD", "POST"):
        raise Refused("405 Method Not Allowed", "only GET and POST are answered here")
    headers: dict[str, str] = {}
    for line in lines:
        header = _HEADER.fullmatch(line)
        if header is None:
            raise Refused("400 Bad Request", "a header is not well-formed")
        name = header[1].lower()
        if name in headers and name in _ONCE:
            raise Refused("400 Bad Request", f"the header {name} is given twice")
        headers[name] = header[2].strip()
    path, _, query = target.partition("?")
    _check_framing(headers)
    return Request(method, path, query, headers)


def _check_framing(headers: Mapping[str, str]) -> None:
    length, coding = headers.get("content-length"), headers.get("transfer-encoding")
    if length is not None and (coding is not None or not re.fullmatch(r"[0-9]{1,12}", length)):
        raise Refused("400 Bad Request", "the length of the body is not clear")
    if coding is not None and coding.lower() != "chunked":
        raise Refused("501 Not Implemented", "only the transfer encoding chunked is known here")


async def body(reader: asyncio.StreamReader, request: Request, most: int) -> AsyncIterator[bytes]:
    """Yield the pieces of a request's body as they arrive, and keep none of them.

    Raises Refused if the body is not well-formed or longer than `most` bytes, and EOFError if the
    client ends it early.
    """
    total = 0
    if request.headers.get("transfer-encoding") is None:
        left = int(request.headers.get("content-length", "0"))
        if left > most:
            raise _too_large(most)
        async for piece in _pieces(reader, left):
            yield piece
        return
    while size := await _chunk_size(reader):
        total += size
        if total > most:
            raise _too_large(most)
        async for piece in _pieces(reader, size):
            yield piece
        if await reader.readexactly(2) != b"\r\n":
            raise Refused("400 Bad Request", "a chunk of the body does not end where its size says")
    # Trailers are read, but have no meaning here.
    for _ in range(16):
        if await _line(reader) == b"\r\n":
            return
    raise Refused("400 Bad Request", "the body has too many trailers")


async def inflated(pieces: AsyncIterator[bytes], most: int) -> AsyncIterator[bytes]:
    """Yield what the pieces of a gzip stream hold.

    Raises Refused if the stream is not well-formed, or holds more than `most` bytes.
    """
    inflater = zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)
    total = 0
    async for piece in pieces:
        # What follows the stream has no meaning, for git neither.
        while not inflater.eof:
            try:
                plain = inflater.decompress(piece, _PIECE)
            except zlib.error:
                raise Refused("400 Bad Request", "the body is no well-formed gzip") from None
            piece = inflater.unconsumed_tail
            total += len(plain)
            if total > most:
                raise _too_large(most)
            if plain:
                yield plain
            if not piece and len(plain) < _PIECE:
                break
    if not inflater.eof:
        raise Refused("400 Bad Request", "the body ends in the middle of its gzip")


async def _pieces(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        piece = await reader.read(min(left, _PIECE))
        if not piece:
            raise EOFError
        left -= len(piece)
        yield piece


async def _chunk_size(reader: asyncio.StreamReader) -> int:
    found = re.fullmatch(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r\n", await _line(reader))
    if found is None:
        raise Refused("400 Bad Request", "a chunk of the body has no size")
    return int(found[1], 16)


async def _line(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.readuntil(b"\r\n")
    except asyncio.LimitOverrunError:
        raise Refused("400 Bad Request", "a line of the body is too long") from None


def _too_large(most: int) -> Refused:
    return Refused("413 Content Too Large", f"more than {most // (1024 * 1024)} MiB in a request")


def answer_head(status: str, headers: Mapping[str, str]) -> bytes:
    """Return the head of an answer; it says that the connection is closed after the answer."""
    lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


def parse_cgi(head: bytes) -> tuple[str, dict[str, str]]:
    """Return the status and the headers that a CGI program begins its answer with."""
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n"):
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip()] = value.strip()
    return headers.pop("Status", "200 OK"), headers


def push_error(sentence: str) -> bytes:
    """Return an error in git's side band: git shows it to a learner whose push ends here."""
    text = f"\3{sentence}\n".encode()
    return b"%04x%b" % (len(text) + 4, text)
