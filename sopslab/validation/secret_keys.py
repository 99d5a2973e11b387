"""Check the keys of a Secret or ConfigMap as the API server does, beyond what schemas say.

Keys are readable in an encrypted file, so encrypted Secrets are checked, too (kubernetes,
pkg/apis/core/validation: ValidateSecret, ValidateConfigMap).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sopslab.policy import sops
from sopslab.policy.findings import key_path
from sopslab.validation.objects import at

Problem = tuple[tuple[str, ...], str]
"""The keys that lead to the place, and a sentence."""

_REQUIRED = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
}
_ONE_OF = {"kubernetes.io/basic-auth": ("username", "password")}
_ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
_ACCOUNT = "kubernetes.io/service-account.name"
_KEY = re.compile(r"[-._a-zA-Z0-9]{1,253}")
_SECTIONS = {"Secret": ("data", "stringData"), "ConfigMap": ("data", "binaryData")}


def problems(manifest: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield why the API server would refuse an object for its keys."""
    kind = str(manifest.get("kind"))
    if manifest.get("apiVersion") != "v1" or kind not in _SECTIONS:
        return
    keys: set[str] = set()
    for section in _SECTIONS[kind]:
        content = manifest.get(section)
        for key in content if isinstance(content, dict) else ():
            key = str(key)
            if not _KEY.fullmatch(key) or key in (".", "..") or key.startswith(".."):
                text = f"{key_path(section, key)}: a key has letters, digits, `-`, `_` and `.` only"
                yield (section, key), text
            elif kind == "ConfigMap" and key in keys:
                yield (section, key), f"{key_path(section, key)} is in data, too"
            keys.add(key)
    if kind == "Secret":
        yield from _of_type(manifest, keys)


def _of_type(manifest: Mapping[str, Any], keys: set[str]) -> Iterator[Problem]:
    type_ = manifest.get("type")
    if not isinstance(type_, str) or sops.is_encrypted(type_):
        return
    missing = [key for key in _REQUIRED.get(type_, ()) if key not in keys]
    if missing:
        yield ("type",), f"a Secret of type {type_} needs {' and '.join(missing)}"
    choice = _ONE_OF.get(type_, ())
    if choice and not keys.intersection(choice):
        yield ("type",), f"a Secret of type {type_} needs {' or '.join(choice)}"
    if type_ == _ACCOUNT_TOKEN and not at(manifest, "metadata", "annotations", _ACCOUNT):
        yield ("type",), f"a Secret of type {type_} needs the annotation {_ACCOUNT}"
