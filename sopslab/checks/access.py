"""Whether a learner's access to the cluster is as it should be: the credential that proves who the
learner is, and the kubeconfig."""

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
# Access is renewed this long before it expires or, if it is short-lived, when a third of its time
# is left.
SOON = timedelta(days=3)
_LAST = 3


@dataclass(frozen=True)
class Credential:
    """What proves who a learner is, and the time for which it is valid.

    `owner` is the user that it names: the parts of a certificate's subject as RFC 4514 writes them,
    or the user of a token.
    """

    owner: frozenset[str]
    begin: datetime
    end: datetime

    @property
    def margin(self) -> timedelta:
        """How long before its expiry the credential is renewed."""
        return min(SOON, (self.end - self.begin) / _LAST)

    @property
    def renewal(self) -> datetime:
        """When the credential is renewed."""
        return self.end - self.margin


@dataclass(frozen=True)
class SeenAccess:
    """What was seen of a seat's access.

    `is_open` is whether others could read the secret files. `generation` is None if it cannot be
    read. `credential` is None if there is none that can be read. `flaw` says why the credential
    does not work, None if it does.
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

    RBAC compares names of users, so a ServiceAccount is also bound by its name, as a `User`.
    """
    return _USERS[issuer](seat, generation)


# What sentences call the credential of an issuer.
WORDS: Mapping[Issuer, str] = {Issuer.CERTIFICATES: "certificate", Issuer.TOKENS: "token"}
_OWNERS: Mapping[Issuer, Callable[[str], set[str]]] = {
    Issuer.CERTIFICATES: lambda user: {f"CN={user}", f"O={LEARNERS}"},
    Issuer.TOKENS: lambda user: {user},
}


def access_state(seat: str, seen: SeenAccess | None, now: datetime) -> str:
    """Return the state of a seat's access: `current`, `missing`, or `stale: …` with the reason.

    + seen: what was seen of the access, None if there is no kubeconfig
    """
    if seen is None:
        return MISSING
    fault = _fault(seat, seen, now)
    return CURRENT if fault is None else f"stale: {fault}"


_RENEW = "run `sopslab up`, and have learners fetch their kubeconfigs again"


@dataclass(frozen=True)
class Terms:
    """How long kubeconfigs are valid: the seats whose kubeconfig has expired, and a sentence."""

    ended: tuple[str, ...]
    said: str


def terms_of(held: Mapping[str, Credential], now: datetime) -> Terms | None:
    """Return how long the kubeconfigs of seats are valid, None if there are none.

    + held: the credential of each seat's learner
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
