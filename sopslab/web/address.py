"""Where the board listens, and with what certificate."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from pathlib import Path

from sopslab.config.places import Places
from sopslab.errors import Exit, LabError
from sopslab.gitserver.server import tls_context
from sopslab.lab.observe.certificates import server_file
from sopslab.web.link import Link, keep_link, kept_link, new_token

_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Address:
    """An IPv4 address and a port; `tls` is the context for TLS, None without TLS."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    def url(self, token: str) -> str:
        """Return the URL of the board, for a browser."""
        scheme = "http" if self.tls is None else "https"
        return f"{scheme}://{self.host}:{self.port}/{token}/"

    @property
    def hosts(self) -> frozenset[str]:
        """The values that a browser may send in `Host`."""
        names = (self.host, "localhost")
        # A browser leaves out the default port of the scheme.
        bare = names if self.port == (80 if self.tls is None else 443) else ()
        return frozenset((*bare, *(f"{name}:{self.port}" for name in names)))


@dataclass(frozen=True)
class Claim:
    """A socket that listens, its address, and the token that opens the board there."""

    socket: socket.socket
    address: Address
    token: str = field(repr=False)

    @property
    def url(self) -> str:
        """The URL of the board, for a browser."""
        return self.address.url(self.token)


def claim(
    places: Places, port: int | None = None, *, at_git_bind: bool = False, new: bool = False
) -> Claim:
    """Listen for the board of a lab, with the port and the token of the last board if possible, and
    keep the link. Raises LabError.

    + port: the port; without one, that of the last board, or a free one
    + at_git_bind: whether to listen where learners reach the Git server, instead of on loopback
    + new: whether to make a new token; with another port than before, the token is new in any case
    """
    host, tls = (places.git_bind, lab_tls(places)) if at_git_bind else (_LOOPBACK, None)
    before = kept_link(places)
    if port is None and before is not None:
        try:
            listening = _listen(host, before.port)
        except OSError:
            listening = _listen_or_say(host, 0)
    else:
        listening = _listen_or_say(host, port or 0)
    address = Address(host, listening.getsockname()[1], tls)
    # Tabs that are still open send the old token to whatever listens at the old port now.
    kept = None if new or before is None or before.port != address.port else before.token
    token = kept or new_token()
    try:
        keep_link(places, Link(address.port, token))
    except OSError as error:
        listening.close()
        raise LabError(
            f"{places.class_dir} cannot be written ({error.strerror})", Exit.HOST
        ) from None
    return Claim(listening, address, token)


def lab_tls(places: Places) -> ssl.SSLContext:
    """Return the context for TLS with the certificate of the lab's Git server. Raises LabError if
    the lab has none, or the certificate cannot be read."""
    here = places.git_embedded and places.engine_host is None
    if not places.networked or not here:
        raise LabError(
            "the board can be at git_bind only where that is an address of this machine, other than"
            " loopback: there the lab has a certificate",
            Exit.INPUT,
        )
    certificate = Path(server_file(places))
    try:
        return tls_context(certificate)
    except OSError as error:
        raise LabError(
            f"the lab's certificate {certificate} cannot be read ({error.strerror}): `sopslab up`"
            " makes it",
            Exit.HOST,
        ) from None


def _listen_or_say(host: str, port: int) -> socket.socket:
    try:
        return _listen(host, port)
    except OSError as error:
        place = f"{host}:{port}" if port else host
        raise LabError(
            f"the board cannot listen at {place} ({error.strerror}): choose another --port",
            Exit.HOST,
        ) from None


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port), backlog=128)
