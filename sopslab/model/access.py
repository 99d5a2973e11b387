"""Who vouches for the learners of a class in its cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Issuer(StrEnum):
    """Who vouches for learners: the cluster's signer of client certificates, or its API server, by
    tokens of ServiceAccounts."""

    CERTIFICATES = "certificates"
    TOKENS = "tokens"


CERTIFICATE, CERTIFICATE_KEY, TOKEN = "client.crt", "client.key", "token.json"
# What each gives learners: files in the folder of a seat.
CREDENTIALS: Mapping[Issuer, tuple[str, ...]] = {
    Issuer.CERTIFICATES: (CERTIFICATE, CERTIFICATE_KEY),
    Issuer.TOKENS: (TOKEN,),
}


@dataclass(frozen=True)
class ChosenIssuer:
    """The issuer that a cluster was found to have; the cluster is known by an id."""

    cluster: str
    issuer: Issuer


@dataclass(frozen=True)
class BoundToken:
    """A token of a ServiceAccount, as the API server granted it.

    `user` is whom the cluster takes its bearer for, `account` the id of the ServiceAccount: another
    one of that name does not bring the token back. It is valid from `begin` to `end`, in seconds
    since 1970.
    """

    user: str
    account: str
    begin: int
    end: int
    token: str = field(repr=False)
