"""Secrets with a value that nobody has seen: it is random, and exists in this process and in pipes
only."""

from __future__ import annotations

import base64
import secrets

from sopslab.config.places import Lab
from sopslab.lab.tools import sops


def new_secret(lab: Lab, rules: bytes, path: str, name: str, namespace: str) -> bytes:
    """Return a Secret with one new value, encrypted by the creation rule for a path.

    Raises LabError where the rules would have sops ask others than age, and Failed.
    """
    token = base64.b64encode(secrets.token_bytes(24))
    plain = (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {name}\n  namespace: {namespace}\n"
        f"data:\n  API_TOKEN: {base64.b64encode(token).decode()}\n"
    )
    return sops.encrypt(lab, rules, path, plain.encode())
