"""Whether a learner's access to the cluster is as it should be: what proves who the learner is, and
a kubeconfig."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sopslab.checks.kubeconfigs import Standing
from sopslab.config.moments import in_words
from sopslab.config.naming import seat_system_namespace, seat_user
from sopslab.files.events import named
from sopslab.model.access import Issuer
from sopslab.model.words import hours_and_minutes

# The group of every learner's certificate.
LEARNERS = "sops-lab:learners"

CURRENT = "current"
MISSING = "missing"
# Access is renewed this long before it expires; if it is short-lived, when a third of it is left.
SOON = timedelta(days=3)
_LAST = 3


@dataclass(frozen=True)
class Credential:
    """What proves who a learner is, and when that is valid.

    `owner` is whom it names: the parts of a certificate's subject as RFC 4514 writes them, or the
    user of a token.
    """

    owner: frozenset[str]
    begin: datetime
    end: datetime

    @property
    def margin(self) -> timedelta:
        """How long before it expires it is renewed."""
        return min(SOON, (self.end - self.begin) / _LAST)

    @property
    def renewal(self) -> datetime:
        """When it is renewed."""
        return self.end - self.margin


@dataclass(frozen=True)
class SeenAccess:
    """What was seen of a seat's access.

    `is_open` is whether others could read the secret files. `generation` is None if it cannot be
    read, `credential` if there is none; `flaw` says why the credential does not work, if so.
    """

    is_open: bool
    issuer: Issuer
    generation: str | None
    credential: Credential | None
    flaw: str | None
    kubeconfig: Standing


def _account_user(seat: str, generation: str) -> str:
    return f"system:serviceaccount:{seat_system_namespace(seat)}:learner-{generation}"


_USERS: Mapping[Issuer, Callable[[str, str], str]] = {
    Issuer.CERTIFICATES: seat_user,
    Issuer.TOKENS: _account_user,
}


def user_of(issuer: Issuer, seat: str, generation: str) -> str:
    """Return the learner's user in the cluster.

    RBAC compares names of users, so a ServiceAccount is bound as a `User`, too.
    """
    return _USERS[issuer](seat, generation)


# An issuer's credential, in sentences.
WORDS: Mapping[Issuer, str] = {Issuer.CERTIFICATES: "certificate", Issuer.TOKENS: "token"}
_OWNERS: Mapping[Issuer, Callable[[str], set[str]]] = {
    Issuer.CERTIFICATES: lambda user: {f"CN={user}", f"O={LEARNERS}"},
    Issuer.TOKENS: lambda user: {user},
}


def access_state(seat: str, seen: SeenAccess | None, now: datetime) -> str:
    """Return the state of a seat's access: `current`, `missing`, or `stale: …` with the reason.

    + seen: None without a kubeconfig
    """
    if seen is None:
        return MISSING
    fault = _fault(seat, seen, now)
    return CURRENT if fault is None else f"stale: {fault}"


_RENEW = "run `sopslab up`, and have learners fetch their kubeconfigs again"


@dataclass(frozen=True)
class Terms:
    """How long kubeconfigs are valid: the seats whose own has expired, and a sentence."""

    ended: tuple[str, ...]
    said: str


def terms_of(held: Mapping[str, Credential], now: datetime) -> Terms | None:
    """Return how long the kubeconfigs of seats are valid, None without any.

    + held: each learner's credential
    """
    if not held:
        return None
    ended = tuple(seat for seat, one in held.items() if one.end <= now)
    if ended:
        return Terms(ended, f"the kubeconfigs of {named(ended)} have ended: {_RENEW}")
    first = min(held, key=lambda seat: held[seat].end)
    end, renewal = in_words(held[first].end), held[first].renewal
    said = f"good until {end}" + (f" ({first} first)" if len(held) > 1 else "")
    if renewal <= now:
        return Terms((), f"{said}: {_RENEW}")
    return Terms((), f"{said}; from {in_words(renewal)} on, `sopslab up` renews them")


def _fault(seat: str, seen: SeenAccess, now: datetime) -> str | None:
    word = WORDS[seen.issuer]
    if seen.is_open:
        return "others could read it"
    if seen.generation is None:
        return "its generation cannot be read"
    if seen.credential is None:
        return f"its {word} cannot be read"
    user = user_of(seen.issuer, seat, seen.generation)
    if seen.credential.owner != _OWNERS[seen.issuer](user):
        return f"its {word} is of another generation"
    if seen.credential.renewal <= now:
        return f"its {word} ends in less than {_in_words(seen.credential.margin)}"
    return seen.flaw or seen.kubeconfig.fault


def _in_words(margin: timedelta) -> str:
    return f"{margin.days} days" if margin >= SOON else hours_and_minutes(margin.total_seconds())
