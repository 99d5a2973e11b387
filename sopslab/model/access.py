"""Who issues the credentials with which the learners of a class log in to its cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Issuer(StrEnum):
    """Who issues credentials to learners: the cluster's signer of client certificates, or its API
    server, which issues tokens of ServiceAccounts."""

    CERTIFICATES = "certificates"
    TOKENS = "tokens"


CERTIFICATE, CERTIFICATE_KEY, TOKEN = "client.crt", "client.key", "token.json"
# The files that each issuer's credentials have in the folder of a seat.
CREDENTIALS: Mapping[Issuer, tuple[str, ...]] = {
    Issuer.CERTIFICATES: (CERTIFICATE, CERTIFICATE_KEY),
    Issuer.TOKENS: (TOKEN,),
}


@dataclass(frozen=True)
class ChosenIssuer:
    """The issuer that a cluster was found to have, and the id of that cluster."""

    cluster: str
    issuer: Issuer


@dataclass(frozen=True)
class BoundToken:
    """A token of a ServiceAccount, as the API server granted it.

    `user` is the user that the token logs in. `account` is the uid of the ServiceAccount: once it
    is deleted, a new ServiceAccount of the same name does not make the token valid again. The token
    is valid from `begin` to `end`, in seconds since 1970.
    """

    user: str
    account: str
    begin: int
    end: int
    token: str = field(repr=False)
