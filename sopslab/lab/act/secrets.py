"""Secrets with a random value that nobody has seen: it exists in this process and in pipes only."""

from __future__ import annotations

import base64
import secrets

from sopslab.config.places import Lab
from sopslab.course.chapter import MANIFEST_PATH, SECRET
from sopslab.lab.tools import sops
from sopslab.layout import CANARY_PATH

_CANARY = "lab-canary"


def new_secret(lab: Lab, rules: bytes, namespace: str) -> bytes:
    """Return the Secret of the chapter with one new value, encrypted by the creation rule for it.

    Raises Failed, and LabError where the rules name other kinds of recipients than age's.
    """
    token = base64.b64encode(new_token().encode()).decode()
    plain = f"{_head(SECRET, namespace)}data:\n  API_TOKEN: {token}\n"
    return sops.encrypt(lab, rules, MANIFEST_PATH, plain.encode())


def new_canary(lab: Lab, rules: bytes, namespace: str, token: str) -> bytes:
    """Return a canary whose value is the token, encrypted by the creation rule for it.

    Raises Failed, and LabError where the rules name other kinds of recipients than age's.
    """
    plain = f"{_head(_CANARY, namespace)}stringData:\n  value: {token}\n"
    return sops.encrypt(lab, rules, CANARY_PATH, plain.encode())


def new_token() -> str:
    """Return a random value that nobody has seen."""
    return base64.b64encode(secrets.token_bytes(24)).decode()


def _head(name: str, namespace: str) -> str:
    return f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
