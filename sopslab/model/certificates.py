"""How the lab's CA and the certificate of its Git server stand."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TlsState:
    """How the lab's TLS stands.

    `ca` is the SHA-256 fingerprint of the CA's certificate, None if there is none; `problem` says
    why it cannot be used. `certificate` is the fingerprint of the server's, None if one has to be
    made; `stale` says why, where there is one already. `foreign` are the names of the server that
    the CA may not sign for: it was made for a server with other names.
    """

    ca: str | None = None
    problem: str | None = None
    certificate: str | None = None
    stale: str | None = None
    foreign: tuple[str, ...] = ()
