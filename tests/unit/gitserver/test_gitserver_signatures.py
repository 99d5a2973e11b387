"""A push's commands are looked at before git has them: none that is signed gets there."""

from __future__ import annotations

import asyncio
import gzip
import os
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sopslab.gitserver.protocol import Refused
from sopslab.gitserver.signatures import unsigned
from tests.texts import write_program
from tests.unit.gitserver.gitserver_material import PASSWORD, PUSH, Client, serving, write_gate

NEW, ZERO = "1" * 40, "0" * 40
COMMAND = f"{ZERO} {NEW} refs/heads/push-cert".encode()
SHALLOW = f"shallow {NEW}".encode()


def lines(*payloads: bytes, end: bytes = b"0000") -> bytes:
    """Return lines of git's protocol, and what comes after them."""
    return b"".join(b"%04x%b" % (len(one) + 4, one) for one in payloads) + end


def passed(data: bytes, size: int) -> bytes:
    """Return what goes on to git of a body that comes in pieces of a size."""

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(data), size):
            yield data[start : start + size]

    async def run() -> bytes:
        return b"".join([piece async for piece in unsigned(pieces())])

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 3, 64, 10**6])
@pytest.mark.parametrize(
    "data",
    [
        lines(COMMAND + b"\0 report-status push-cert", COMMAND, end=b"0000PACK0013push-cert\0 a"),
        lines(SHALLOW, COMMAND + b"\0 report-status"),
        lines(b"push-certificate", b"push-cer", b"", b" push-cert"),
        lines(COMMAND, end=b"0001" + lines(b"push-cert")),
        lines(COMMAND, end=b"xxxx" + lines(b"push-cert")),
        lines(COMMAND, end=b"000"),
        b"0000",
        b"0fffpush-cert",
        b"",
    ],
)
def test_what_is_not_signed_goes_on_as_it_is(data: bytes, size: int) -> None:
    assert passed(data, size) == data


@pytest.mark.parametrize("size", [1, 3, 64, 10**6])
@pytest.mark.parametrize("ending", [b"", b"\n", b"\0 report-status", b"\n\0"])
@pytest.mark.parametrize("before", [(), (COMMAND,), (SHALLOW, COMMAND)])
def test_a_certificate_is_refused(before: tuple[bytes, ...], ending: bytes, size: int) -> None:
    with pytest.raises(Refused, match="signed pushes"):
        passed(lines(*before, b"push-cert" + ending, b"certificate version 0.1\n"), size)


@pytest.fixture
def bare(root: Path) -> Path:
    """The repository of a server whose gate is git itself, with a hook: without one, git keeps no
    certificate."""
    bare = root / "repositories/ada/lab.git"
    git(root, "init", "--quiet", "--bare", "--initial-branch=main", str(bare))
    (root / "etc").mkdir()
    (root / "etc/gitconfig").write_text("[safe]\n\tdirectory = *\n")
    write_gate(root, f"exec {git(root, '--exec-path').strip()}/git-http-backend")
    write_program(bare / "hooks/pre-receive", "#!/bin/sh\ncat >/dev/null\n")
    return bare


def send(port: int, data: bytes, *headers: str) -> str:
    """Return the server's answer to a push."""
    kind = "Content-Type: application/x-git-receive-pack-request"
    client = Client(port).begin("POST", PUSH, kind, f"Content-Length: {len(data)}", *headers)
    client.send(data)
    return client.answer()


@pytest.mark.parametrize("compressed", [False, True])
def test_nothing_of_a_signed_push_stays(root: Path, bare: Path, compressed: bool) -> None:
    data = lines(
        b"push-cert\0 report-status",
        b"certificate version 0.1\n",
        *(os.urandom(20_000).hex().encode() + b"\n" for _ in range(20)),
        b"\n",
        f"{NEW} {ZERO} refs/heads/x\n".encode(),
        b"push-cert-end\n",
    )
    with serving(root) as port:
        if compressed:
            answer = send(port, gzip.compress(data), "Content-Encoding: gzip")
        else:
            answer = send(port, data)
    assert git(bare, "count-objects").startswith("0 objects")
    assert re.match("HTTP/1.1 200 ", answer) and "signed pushes" in answer


@pytest.mark.parametrize("coding", [None, "gzip", "x-gzip"])
def test_a_push_is_taken_compressed_as_well(root: Path, bare: Path, coding: str | None) -> None:
    tree = git(bare, "mktree").strip()
    tip = git(bare, "commit-tree", tree, "-m", "a").strip()
    pack = git_bytes(bare, "pack-objects", "--stdout", given=f"{tip}\n{tree}\n".encode())
    data = lines(f"{ZERO} {tip} refs/heads/main\0 report-status".encode()) + pack
    with serving(root) as port:
        if coding is not None:
            answer = send(port, gzip.compress(data), f"Content-Encoding: {coding}")
        else:
            answer = send(port, data)
    assert "unpack ok" in answer and git(bare, "rev-parse", "main").strip() == tip


def test_a_shallow_clone_pushes_forces_and_deletes(root: Path, bare: Path) -> None:
    with serving(root) as port:
        url = f"http://ada:{PASSWORD}@127.0.0.1:{port}/ada/lab.git"
        git(root, "clone", "--quiet", url, "first")
        for message in "abc":
            git(root / "first", "commit", "--quiet", "--allow-empty", "-m", message)
        git(root / "first", "push", "--quiet", "origin", "HEAD:main")
        git(root, "clone", "--quiet", "--depth=1", url, "second")
        clone = root / "second"
        git(clone, "commit", "--quiet", "--allow-empty", "-m", "d")
        git(clone, "tag", "-m", "one", "one")
        git(clone, "push", "--quiet", "origin", "HEAD:main", "HEAD:side", "one")
        git(clone, "commit", "--quiet", "--amend", "--allow-empty", "-m", "e")
        git(clone, "push", "--quiet", "--force", "origin", "HEAD:main")
        git(clone, "push", "--quiet", "--delete", "origin", "side")
        tip = git(clone, "rev-parse", "HEAD")
    assert git(bare, "rev-parse", "main") == tip
    assert git(bare, "for-each-ref", "--format=%(refname)").split() == [
        "refs/heads/main",
        "refs/tags/one",
    ]


def git(folder: Path, *arguments: str) -> str:
    return git_bytes(folder, *arguments).decode()


def git_bytes(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    return subprocess.run(
        ["git", "-c", "user.name=ada", "-c", "user.email=ada@example.org", *arguments],
        cwd=folder, input=given, check=True, capture_output=True, timeout=60,
    ).stdout  # fmt: skip
