"""Bodies that do not come, or come slowly: how long they are awaited, and how much of them is
kept."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace

import pytest
from typing_extensions import override

from sopslab.gitserver import uploads
from sopslab.gitserver.protocol import Refused, parse
from sopslab.gitserver.uploads import Upload

Work = Callable[[Upload], Awaitable[object]]


def received(work: Work, *parts: bytes, pause: float = 0.0, ends: bool = True) -> object:
    """Return what some work makes of a body of a hundred bytes, or fewer, that comes in parts.

    + pause: seconds before each part
    + ends: whether the client hangs up after the last one
    """

    async def run() -> object:
        reader = asyncio.StreamReader()

        async def send() -> None:
            for part in parts:
                await asyncio.sleep(pause)
                reader.feed_data(part)
            if ends:
                reader.feed_eof()

        sending = asyncio.create_task(send())
        posted = parse(b"POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        try:
            return await work(Upload(reader, posted, 100))
        finally:
            sending.cancel()
            with suppress(asyncio.CancelledError):
                await sending

    return asyncio.run(run())


async def whole(upload: Upload) -> bytes:
    return b"".join([piece async for piece in upload.pieces()])


@pytest.mark.parametrize(
    ("size", "is_all"), [(1, False), (60, False), (61, False), (100, False), (101, True)]
)
def test_a_body_is_whole_however_much_of_it_was_awaited(size: int, is_all: bool) -> None:
    async def work(upload: Upload) -> tuple[bool, bytes]:
        return await upload.begin(size), await whole(upload)

    parts = (b"a" * 60, b"b" * 40)
    assert received(work, *parts) == (is_all, b"a" * 60 + b"b" * 40)


def test_what_was_awaited_is_passed_on_once() -> None:
    async def work(upload: Upload) -> bytes:
        await upload.begin(101)
        return await whole(upload) + await whole(upload)

    assert received(work, b"a" * 100) == b"a" * 100


def test_a_body_that_ends_early_is_none() -> None:
    with pytest.raises(EOFError):
        received(lambda upload: upload.begin(101), b"a" * 99)


@pytest.mark.parametrize("work", [lambda upload: upload.begin(101), whole])
@pytest.mark.parametrize("parts", [(), (b"a",), (b"a",) * 99])
def test_a_body_that_stops_or_comes_byte_by_byte_is_refused(
    monkeypatch: pytest.MonkeyPatch, work: Work, parts: tuple[bytes, ...]
) -> None:
    monkeypatch.setattr(uploads, "_SECONDS", 0.2)
    with pytest.raises(Refused) as refused:
        received(work, *parts, pause=0.02, ends=False)
    assert refused.value.status.startswith("408")
    assert "less than 32 KiB a second" in str(refused.value)


class SlowSender(asyncio.StreamReader):
    """A client that sends so many bytes a second, on a clock that only this moves."""

    def __init__(self, rate: int) -> None:
        super().__init__()
        self.rate, self.seconds = rate, 0.0

    def monotonic(self) -> float:
        return self.seconds

    @override
    async def read(self, n: int = -1) -> bytes:
        await asyncio.sleep(0)
        self.seconds += n / self.rate
        return b"x" * n


@pytest.mark.parametrize(("kibibytes", "arrives"), [(33, True), (31, False)])
def test_a_body_goes_on_as_long_as_it_comes_at_the_least_rate(
    monkeypatch: pytest.MonkeyPatch, kibibytes: int, arrives: bool
) -> None:
    # With a kibibyte too few a second, the ten seconds are used up after 10 MiB.
    size = 16 * 1024 * 1024

    async def run() -> int:
        client = SlowSender(kibibytes * 1024)
        monkeypatch.setattr(uploads, "time", SimpleNamespace(monotonic=client.monotonic))
        posted = parse(f"POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode())
        come = 0
        with suppress(Refused):
            async for piece in Upload(client, posted, size).pieces():
                come += len(piece)
        return come

    assert (asyncio.run(run()) == size) is arrives


def test_a_body_that_comes_fast_enough_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "_SECONDS", 1.0)
    monkeypatch.setattr(uploads, "LEAST_SENT", 10)
    # More than a second in all, for which each part gives three.
    parts = (b"a" * 40, b"b" * 30, b"c" * 30)
    assert received(whole, *parts, pause=0.4) == b"".join(parts)
