"""The state of the lab's CA and of its Git server's certificate."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TlsState:
    """The state of the lab's TLS.

    `ca` is the SHA-256 fingerprint of the CA's certificate, None if there is no usable CA;
    `problem` says why the CA cannot be used. `certificate` is the fingerprint of the server's
    certificate, None if it has to be made; `stale` says why an existing one has to be made anew.
    `foreign` are names of the server that the CA may not sign for, because it was made for a server
    with other names.
    """

    ca: str | None = None
    problem: str | None = None
    certificate: str | None = None
    stale: str | None = None
    foreign: tuple[str, ...] = ()
