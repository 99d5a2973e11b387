"""Whether a learner's access to the cluster, a certificate and a kubeconfig, is as it should be."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sopslab.checks.kubeconfigs import Standing
from sopslab.config.naming import seat_user

# The group of every learner's certificate.
LEARNERS = "sops-lab:learners"

CURRENT = "current"
MISSING = "missing"
# A certificate that ends within this time is issued anew.
SOON = timedelta(days=3)


@dataclass(frozen=True)
class ClientCertificate:
    """A certificate: its subject, each part as RFC 4514 writes it, and when it ends."""

    subject: frozenset[str]
    end: datetime


@dataclass(frozen=True)
class SeenAccess:
    """What was seen in a seat's folder.

    `is_open` is whether others could read what is secret, `generation` None where it cannot be
    read, `certificate` None where there is none.
    """

    is_open: bool
    generation: str | None
    certificate: ClientCertificate | None
    key_fits: bool
    kubeconfig: Standing


def access_state(seat: str, seen: SeenAccess | None, now: datetime) -> str:
    """Return how a seat's access stands: `current`, `missing`, or `stale: …` with the reason.

    + seen: None where there is no kubeconfig
    """
    if seen is None:
        return MISSING
    fault = _fault(seat, seen, now)
    return CURRENT if fault is None else f"stale: {fault}"


def _fault(seat: str, seen: SeenAccess, now: datetime) -> str | None:
    if seen.is_open:
        return "others could read it"
    if seen.generation is None:
        return "its generation cannot be read"
    if seen.certificate is None:
        return "its certificate cannot be read"
    if seen.certificate.subject != {f"CN={seat_user(seat, seen.generation)}", f"O={LEARNERS}"}:
        return "its certificate is of another generation"
    if seen.certificate.end <= now + SOON:
        return f"its certificate ends in less than {SOON.days} days"
    if not seen.key_fits:
        return "its key does not fit its certificate"
    return seen.kubeconfig.fault
