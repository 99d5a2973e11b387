"""The keys that the API server wants, of plain and of encrypted objects."""

from __future__ import annotations

from typing import Any

import pytest

from sopslab.validation.secret_keys import problems
from tests.unit.validation.validation_material import cipher

TYPES = "kubernetes.io/"


def secret(type_: str, *keys: str, section: str = "data", **metadata: Any) -> dict[str, Any]:
    content = {section: {key: cipher() for key in keys}}
    return {"apiVersion": "v1", "kind": "Secret", "type": type_, "metadata": metadata, **content}


def config(**sections: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, **sections}


@pytest.mark.parametrize(
    ("manifest", "place"),
    [
        (secret(f"{TYPES}tls", "tls.cert", "tls.key"), ("type",)),
        (secret(f"{TYPES}tls", "tls.crt", "ca.crt"), ("type",)),
        (secret(f"{TYPES}tls"), ("type",)),
        (secret(f"{TYPES}ssh-auth", "id_ed25519", section="stringData"), ("type",)),
        (secret(f"{TYPES}dockerconfigjson", "config.json"), ("type",)),
        (secret(f"{TYPES}dockerconfigjson", ".dockercfg"), ("type",)),
        (secret(f"{TYPES}dockercfg", ".dockerconfigjson"), ("type",)),
        (secret(f"{TYPES}basic-auth", "user", "pass"), ("type",)),
        (secret(f"{TYPES}service-account-token", "token"), ("type",)),
        (secret("Opaque", "a b"), ("data", "a b")),
        (secret("Opaque", "a/b", section="stringData"), ("stringData", "a/b")),
        (secret("Opaque", "..a"), ("data", "..a")),
        (config(data={"straße": "x"}), ("data", "straße")),
        (config(data={"a": "x"}, binaryData={"a": "eA=="}), ("binaryData", "a")),
    ],
)
def test_wrong_keys_are_found(manifest: dict[str, Any], place: tuple[str, ...]) -> None:
    assert [keys for keys, _ in problems(manifest)] == [place]


@pytest.mark.parametrize(
    "manifest",
    [
        secret(f"{TYPES}tls", "tls.crt", "tls.key"),
        secret(f"{TYPES}tls", "tls.crt", "tls.key", "ca.crt", section="stringData"),
        {**secret(f"{TYPES}tls", "tls.crt"), "stringData": {"tls.key": "x"}},
        secret(f"{TYPES}ssh-auth", "ssh-privatekey"),
        secret(f"{TYPES}dockerconfigjson", ".dockerconfigjson"),
        secret(f"{TYPES}dockercfg", ".dockercfg"),
        secret(f"{TYPES}basic-auth", "username"),
        secret(f"{TYPES}basic-auth", "password", section="stringData"),
        secret(
            f"{TYPES}service-account-token",
            annotations={f"{TYPES}service-account.name": "default"},
        ),
        secret("Opaque", "tls.cert", "a_b-C.d"),
        secret("helm.sh/release.v1", "release"),
        secret(cipher(), "a"),
        secret("example.org/own", ".a"),
        config(data={"a": "x"}, binaryData={"b": "eA=="}),
        {"apiVersion": "example.org/v1", "kind": "Secret", "type": f"{TYPES}tls", "data": {}},
    ],
)
def test_right_keys_pass(manifest: dict[str, Any]) -> None:
    assert list(problems(manifest)) == []
