"""Requests to a Git server that no client of Git makes, and the answers to them."""

from __future__ import annotations

import base64
import contextlib
import re
import socket
import ssl

from sopslab.config.settings import Settings

SEAT = "ada"
OWN = f"/{SEAT}/lab.git"
FETCH = "info/refs?service=git-upload-pack"
ELSEWHERE = (
    f"/platform.git/{FETCH}", f"/learner/lab.git/{FETCH}", f"//learner/lab.git/{FETCH}",
    f"/./learner/lab.git/{FETCH}", f"/{SEAT}/../learner/lab.git/{FETCH}",
    f"{OWN}/../../learner/lab.git/{FETCH}", f"{OWN}/%2e%2e/%2e%2e/learner/lab.git/{FETCH}",
    f"/{SEAT}%2f..%2flearner/lab.git/{FETCH}", f"/{SEAT}/..%2flearner/lab.git/{FETCH}",
    f"/learner/lab.git%00{OWN}/{FETCH}", f"/learner/lab.git;{OWN}/{FETCH}",
    f"/learner/lab.git/{FETCH}&x={OWN}", "/learner/lab.git/info/refs?a=1&service=git-upload-pack",
    f"/learner/lab.git%0a/{SEAT}/lab.git/{FETCH}", f"{OWN}/../learner/lab.git/{FETCH}",
    f"{OWN}/config", f"{OWN}/HEAD", f"{OWN}/objects/info/packs", f"{OWN}/info/refs",
    f"{OWN}/hooks/pre-receive", f"{OWN}/info/refs?service=git-upload-archive",
    f"{OWN}/../../../htpasswd", f"{OWN}/%2e%2e/%2e%2e/%2e%2e/htpasswd", "/htpasswd", "/../htpasswd",
    "/~/learner/kubeconfig", "/~/../access/learner/kubeconfig", "/~/%2e%2e/htpasswd",
    "/credentials/flux/password", "/../credentials/flux/password", "/receiver/token", "/", "/*",
)  # fmt: skip
AS_SOMEBODY = (
    "Remote-User: instructor", "REMOTE_USER: instructor", "X-Remote-User: instructor",
    "X-Forwarded-User: instructor", "X-Original-URL: /platform.git", "X-Rewrite-URL: /platform.git",
    "Path-Info: /platform.git", "Git-Project-Root: /", "X-HTTP-Method-Override: POST",
    "Authorization: Basic aW5zdHJ1Y3Rvcjo=", "Authorization: Bearer x", "Authorization: Basic",
)  # fmt: skip


def requests() -> list[bytes]:
    """Return requests that try every way around the password, or around the gate."""
    lines: list[tuple[str, tuple[str, ...]]]
    lines = [(f"GET {path}", ()) for path in (f"{OWN}/{FETCH}", *ELSEWHERE)]
    lines += [(f"GET https://x{path}", ()) for path in ELSEWHERE[:2]]
    lines += [(f"GET {ELSEWHERE[0]}", (header,)) for header in AS_SOMEBODY]
    methods = ("HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "MKCOL", "CONNECT")
    lines += [(f"{method} {ELSEWHERE[0]}", ()) for method in methods]
    return [
        f"{line} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
        + "".join(f"{header}\r\n" for header in headers).encode()
        for line, headers in lines
    ]


def smuggled() -> list[bytes]:
    """Return requests that hide a second one: front and back may disagree on where it begins."""
    hidden = f"GET {ELSEWHERE[0]} HTTP/1.1\r\nHost: x\r\nRemote-User: instructor\r\n\r\n"
    body = f"0\r\n\r\n{hidden}"
    head = f"POST {OWN}/git-upload-pack HTTP/1.1\r\nHost: x\r\n"
    lengths = (
        f"Content-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        f"Transfer-Encoding: identity, chunked\r\nContent-Length: {len(body)}\r\n",
        f"Transfer-Encoding : chunked\r\nContent-Length: {len(body)}\r\n",
        f"Content-Length: 0\r\nContent-Length: {len(body)}\r\n",
        f"Content-Length: +{len(body)}\r\n",
    )
    return [f"{head}{length}\r\n{body}".encode() for length in lengths]


def connect(settings: Settings, seconds: float) -> socket.socket:
    """Return a connection to the Git server, over TLS if the server has it.

    + seconds: the timeout of the connection, and of whatever is done with it
    """
    address = (settings.git_bind, settings.git_port)
    plain = socket.create_connection(address, timeout=seconds)
    if settings.git_ca is None:
        return plain
    context = ssl.create_default_context(cafile=settings.git_ca)
    return context.wrap_socket(plain, server_hostname=settings.git_bind)


def statuses(
    settings: Settings, request: bytes, login: str | None, patience: float = 0.3
) -> list[int]:
    """Send a request, with a login or without, and return the status of every answer to it, until
    the server hangs up or has said nothing for `patience` seconds after an answer."""
    if login is not None:
        first, _, rest = request.partition(b"\r\n")
        token = base64.b64encode(login.encode())
        request = first + b"\r\nAuthorization: Basic " + token + b"\r\n" + rest
    if b"\r\n\r\n" not in request:
        request += b"\r\n"
    answer = b""
    with connect(settings, 10) as connection:
        connection.sendall(request)
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while block := connection.recv(65536):
                answer += block
                connection.settimeout(patience)
    return [int(code) for code in re.findall(rb"HTTP/1\.[01] (\d{3}) ", answer)]
