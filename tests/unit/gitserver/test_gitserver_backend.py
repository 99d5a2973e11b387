"""Answers to clients that read slowly, on a clock that only their reading moves."""

from __future__ import annotations

import asyncio
import gc
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from typing_extensions import override

from sopslab.gitserver import uploads
from sopslab.gitserver.backend import Backend, Gone
from sopslab.gitserver.protocol import parse
from sopslab.gitserver.uploads import Upload
from tests.texts import write_program

ANSWER = 4 * 1024 * 1024


class Way(asyncio.Transport):
    """A connection of which nothing is asked."""

    @override
    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    @override
    def is_closing(self) -> bool:
        return True


class SlowReader(asyncio.StreamWriter):
    """A client that reads so many bytes a second."""

    def __init__(self, rate: int) -> None:
        protocol = asyncio.StreamReaderProtocol(asyncio.StreamReader())
        super().__init__(Way(), protocol, None, asyncio.get_running_loop())
        self.rate, self.seconds, self.brought = rate, 0.0, 0

    def monotonic(self) -> float:
        return self.seconds

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.brought += len(data)

    @override
    async def drain(self) -> None:
        self.seconds = self.brought / self.rate
        await asyncio.sleep(0)


@pytest.mark.parametrize(("kibibytes", "arrives"), [(64, True), (17, True), (8, False)])
def test_an_answer_goes_on_as_long_as_it_is_read_at_the_least_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kibibytes: int, arrives: bool
) -> None:
    program = tmp_path / "gate"
    write_program(
        program,
        f"#!/bin/sh\nprintf 'Content-Type: a/b\\r\\n\\r\\n'; head -c {ANSWER} /dev/zero\n",
    )

    async def run() -> int:
        client = SlowReader(kibibytes * 1024)
        monkeypatch.setattr(uploads, "time", SimpleNamespace(monotonic=client.monotonic))
        reader = asyncio.StreamReader()
        request = parse(b"GET /ada/lab.git/info/refs HTTP/1.1\r\n\r\n")
        backend = Backend(request, Upload(reader, request, 0), reader, client)
        with suppress(Gone):
            await backend.run(str(program), {"PATH": "/usr/bin:/bin"})
        # The pipes of a program that was ended are closed while there is a loop to do so.
        await asyncio.sleep(0)
        gc.collect()
        await asyncio.sleep(0)
        return client.brought

    assert (asyncio.run(run()) > ANSWER) is arrives
