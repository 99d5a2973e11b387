"""Files fetched over HTTP, through the proxy of the environment where it names one."""

from __future__ import annotations

import http.client
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO, Any

from typing_extensions import override

from sopslab.errors import LabError
from sopslab.lab.tools.waiting import Deadline

_CONNECT_S = 10
_WHOLE_S = 900
# A transfer of less than this many bytes in this many seconds counts as a standstill.
_STALL_S = 30
_LEAST_BYTES = 1024 * _STALL_S
_PIECE = 1 << 16
_SCHEMES = ("http", "https")


class Unavailable(LabError):
    """A file could not be fetched; the sentence is the cause, without what the server said."""


def answers(url: str, seconds: float, proxies: urllib.request.ProxyHandler) -> bool:
    """Return whether a URL can be had. Each step of the request has to end within `seconds`."""
    request = urllib.request.Request(url, method="HEAD")
    try:
        with urllib.request.build_opener(proxies).open(request, timeout=seconds):
            return True
    except (OSError, http.client.HTTPException, ValueError):
        return False


def download(url: str, file: Path) -> None:
    """Fetch a file. Raises Unavailable if it cannot be had, or not in bounded time."""
    opener = urllib.request.build_opener(proxies(), _Http, _Https)
    deadline = Deadline(_WHOLE_S)
    try:
        with opener.open(url, timeout=_CONNECT_S) as response, file.open("wb") as target:
            length = response.length
            fetched = _copy(response, target, deadline)
    except urllib.error.HTTPError as error:
        error.close()
        raise Unavailable(f"HTTP status {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise Unavailable(_cause(error)) from None
    if length is not None and length != fetched:
        raise Unavailable(f"{fetched} of {length} bytes came")


def _copy(response: Any, target: IO[bytes], deadline: Deadline) -> int:
    """Copy a response to a file, and return how many bytes there were. Raises TimeoutError if it is
    too slow."""
    total = before = 0
    window = Deadline(_STALL_S)
    while piece := response.read1(_PIECE):
        target.write(piece)
        total += len(piece)
        if deadline.is_over:
            raise TimeoutError(f"it was not complete within {_WHOLE_S} s")
        if window.is_over:
            if total - before < _LEAST_BYTES:
                raise TimeoutError(f"less than 1 KiB/s came for {_STALL_S} s")
            before, window = total, Deadline(_STALL_S)
    return total


def _cause(error: Exception) -> str:
    """Return why something could not be fetched, in few words."""
    if isinstance(error, urllib.error.URLError):
        if not isinstance(error.reason, OSError):
            return str(error.reason)
        error = error.reason
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, TimeoutError):
        return str(error) if error.args and error.errno is None else "it timed out"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return type(error).__name__


def proxies() -> urllib.request.ProxyHandler:
    """Return the proxies of the environment; `all_proxy` is for schemes without a proxy of their
    own.

    Raises Unavailable where a proxy is of another kind than HTTP, such as SOCKS.
    """
    named = urllib.request.getproxies()
    every = named.pop("all", None)
    used = {**(dict.fromkeys(_SCHEMES, every) if every else {}), **named}
    for scheme in _SCHEMES:
        kind, separator, _ = used.get(scheme, "").partition("://")
        if separator and kind.lower() not in _SCHEMES:
            raise Unavailable(
                f"the proxy for {scheme} is one of {kind}: name an HTTP proxy in {scheme}_proxy, or"
                " set `artifact_source: modules`"
            )
    return urllib.request.ProxyHandler(used)


class _Connection(http.client.HTTPConnection):
    """A connection that may be silent for longer once it is established."""

    @override
    def connect(self) -> None:
        super().connect()
        self.sock.settimeout(_STALL_S)


class _TlsConnection(_Connection, http.client.HTTPSConnection):
    """Such a connection, with TLS."""


class _Http(urllib.request.HTTPHandler):
    @override
    def http_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    @override
    def https_open(self, req: urllib.request.Request) -> Any:
        return self.do_open(_TlsConnection, req)
