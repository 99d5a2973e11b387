"""A Git server on loopback, in this process, and clients that may misbehave."""

from __future__ import annotations

import asyncio
import base64
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bcrypt

from sopslab.gitserver.server import Limits, Server
from sopslab.lab.tools.waiting import wait_until
from sopslab.layout import PROJECT
from tests.texts import write_program
from tests.unit.gitserver import judges_at_work

PASSWORD = "a-password-that-guards-nothing"
USERS = ("ada", "bob")
FETCH = "/ada/lab.git/git-upload-pack"
PUSH = "/ada/lab.git/git-receive-pack"


def write_accounts(root: Path, *users: str, password: str = PASSWORD) -> None:
    """Give all users the same password."""
    hashed = bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds=4)).decode()
    (root / "htpasswd").write_text("".join(f"{user}:{hashed}\n" for user in users))


def header(user: str, password: str) -> str:
    """Return what a client sends to log in."""
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def write_gate(root: Path, text: str) -> None:
    """Install a shell script in place of the gate's program."""
    write_program(root / "etc" / "gate", f"#!/bin/sh\n{text}\n")


@contextmanager
def serving(
    root: Path, limits: Limits | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[int]:
    """Serve the data below `root` and yield the port."""
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(Server(root, limits).listen(0, tls, "127.0.0.1"))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        server.close()
        # First let the server notice clients that have left: a task that is starting a process
        # cannot be cancelled (CPython 3.11 waits for pipes that it never made).
        for seconds in (0.5, 5):
            if left := asyncio.all_tasks(loop):
                loop.run_until_complete(asyncio.wait(left, timeout=seconds))
            for task in asyncio.all_tasks(loop):
                task.cancel()
        loop.close()


@contextmanager
def judging(root: Path, *instead: str) -> Iterator[str]:
    """Start the judges of pushes, and yield the address at which hooks ask.

    + root: where the server's data is
    + instead: a stand-in for the judgement, and its seconds (judges_at_work)
    """
    # The path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(prefix="judges.") as folder:
        address = f"{folder}/judges"
        process = subprocess.Popen(
            [sys.executable, "-m", judges_at_work.__name__, root, address, *instead],
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
        )
        try:
            assert wait_until(Path(address).exists, 20, 0.02)
            yield address
        finally:
            process.kill()
            process.wait()


@dataclass
class Client:
    """A connection to the server, with or without a login."""

    port: int
    user: str | None = "ada"
    password: str = PASSWORD

    def __post_init__(self) -> None:
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def begin(self, method: str, target: str, *headers: str) -> Client:
        """Send the head of a request."""
        lines = [f"{method} {target} HTTP/1.1", "Host: lab", *headers]
        if self.user is not None:
            lines.append(f"Authorization: {header(self.user, self.password)}")
        self.send("\r\n".join([*lines, "", ""]).encode())
        return self

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.socket.sendall(data)

    def sends_at_most(self, size: int, seconds: float) -> int:
        """Return how many of `size` bytes the server takes within `seconds`."""
        self.socket.settimeout(0.2)
        deadline, sent, piece = time.monotonic() + seconds, 0, b"x" * 65536
        while sent < size and time.monotonic() < deadline:
            try:
                sent += self.socket.send(piece)
            except TimeoutError:
                continue
        self.socket.settimeout(20)
        return sent

    def answer(self) -> str:
        """Return everything that the server sends until it ends the connection."""
        parts = []
        while part := self.socket.recv(65536):
            parts.append(part)
        return b"".join(parts).decode("latin-1")

    def status(self) -> int:
        """Return the status of the answer."""
        return int(self.answer().split(" ", 2)[1])

    def close(self) -> None:
        """Hang up."""
        self.socket.close()
