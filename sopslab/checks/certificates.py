"""Whether the certificate of the lab's Git server is still good."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

# A certificate that expires within this time is renewed.
SOON = timedelta(days=30)


@dataclass(frozen=True)
class ServerCertificate:
    """The Git server's key and certificate.

    `names` are in OpenSSL's form. `signed` is whether the lab's CA has signed the certificate.
    """

    names: tuple[str, ...]
    begin: datetime
    end: datetime
    key_fits: bool
    signed: bool


def fault_of(
    found: ServerCertificate | None, *, is_open: bool, names: tuple[str, ...], now: datetime
) -> str | None:
    """Return why a new certificate is needed, None if the present one is good.

    + found: the present certificate, None if it cannot be read
    + is_open: whether others than the server could read its key
    + names: the names for which it has to be valid, in OpenSSL's form
    """
    if is_open:
        return "others could read its key"
    if found is None:
        return "it cannot be read"
    if not found.key_fits:
        return "its key does not fit"
    if found.names != names:
        return f"it is for {', '.join(found.names)}"
    if found.end <= now + SOON:
        return f"it ends in less than {SOON.days} days"
    # If the machine's clock was set back, no client accepts the certificate yet.
    if not found.signed or found.begin > now:
        return "it is not of this CA"
    return None
