"""The content of a seat's kubeconfig, made from the lab's own kubeconfig and the learner's
credential.

Values are written as JSON, which is valid YAML, because a seat may be called `no` or `007`.
Existing files are compared byte by byte with this content, so another form of the same content
would replace every kubeconfig of a class.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from enum import Enum
from typing import Any

from sopslab.config.naming import network_name, seat_namespace


class Standing(Enum):
    """How a kubeconfig differs from the one that would be written."""

    SAME = "same"
    NOWHERE = "nowhere"
    ELSEWHERE = "elsewhere"
    OTHER = "other"

    @property
    def fault(self) -> str | None:
        """What is wrong with the kubeconfig, None if it is right."""
        return _FAULTS.get(self)


_FAULTS = {
    Standing.NOWHERE: "there is no cluster that it leads to",
    Standing.ELSEWHERE: "it leads to another cluster",
    Standing.OTHER: "it is not what was written",
}


Proof = Mapping[str, str]
"""The fields of a kubeconfig's user, with their values as YAML."""


def by_certificate(certificate: bytes, key: bytes) -> Proof:
    """Return the fields for a certificate. The certificate and its key are in PEM."""
    return {
        "client-certificate-data": base64.b64encode(certificate).decode(),
        "client-key-data": base64.b64encode(key).decode(),
    }


def by_token(token: str) -> Proof:
    """Return the fields for a token."""
    return {"token": _literal(token)}


def kubeconfig(lab: str, cluster: Mapping[str, Any] | None, seat: str, proof: Proof) -> str:
    """Return the kubeconfig of a seat.

    + cluster: the cluster in the lab's own kubeconfig
    + proof: the fields of the user
    """
    name, called = _literal(network_name(lab)), _literal(seat)
    lines = [
        "contexts:", f"- name: {called}", "  context:", f"    cluster: {name}",
        f"    namespace: {_literal(seat_namespace(seat))}", f"    user: {called}",
        f"current-context: {called}",
        "users:", f"- name: {called}", "  user:",
        *(f"    {field}: {value}" for field, value in proof.items()),
    ]  # fmt: skip
    return _beginning(lab, cluster) + "".join(f"{line}\n" for line in lines)


def standing(found: bytes, wanted: str, lab: str, cluster: Mapping[str, Any] | None) -> Standing:
    """Return how a kubeconfig differs from the one that would be written.

    + found: the content of the file
    + wanted: what would be written
    + lab: the name of the lab
    + cluster: the cluster in the lab's own kubeconfig, None if there is none
    """
    if cluster is None:
        return Standing.NOWHERE
    try:
        text = found.decode()
    except UnicodeDecodeError:
        return Standing.OTHER
    if text == wanted:
        return Standing.SAME
    return Standing.OTHER if text.startswith(_beginning(lab, cluster)) else Standing.ELSEWHERE


def _beginning(lab: str, cluster: Mapping[str, Any] | None) -> str:
    lines = [
        "apiVersion: v1", "kind: Config", "clusters:", f"- name: {_literal(network_name(lab))}",
        "  cluster:", *(f"    {key}: {_literal(value)}" for key, value in (cluster or {}).items()),
    ]  # fmt: skip
    return "".join(f"{line}\n" for line in lines)


def _literal(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
