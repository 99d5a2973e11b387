"""Every secret that a report might tell: in the lab's own folder, and in the cluster. They stay in
memory."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.errors import Exit, LabError
from sopslab.lab.observe.objects import listed_in
from sopslab.lab.support.coverage import Coverage
from sopslab.lab.support.redaction import Secret
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import PATIENCE
from sopslab.model.objects import Object

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_AGE = re.compile(rb"AGE-SECRET-KEY-[A-Z0-9-]+")
_KEY_BODY = re.compile(rb"-BEGIN [A-Z0-9 ]*PRIVATE KEY-+\n(.*?)-+END", re.DOTALL)
_KUBECONFIG = re.compile(rb"^\s*(?:client-key-data|token|password): *(\S+)$", re.MULTILINE)
# What opens the board, in the file that keeps its link.
_LINK = re.compile(rb'"token": "([^"]+)"')
# Files whose whole content is a secret.
_WHOLE = {"password", "token"}
# Entries of Secrets that are in plain sight elsewhere, and words that a report needs.
_NO_SECRETS = {"username", "ca.crt", "tls.crt", "namespace", "known_hosts"}
# What the bootstrap tokens and certificates of Kubernetes are called.
_TOKEN_TYPE = "bootstrap.kubernetes.io/token"
# Characters of a name.
_LONGEST = 48


def on_disk(settings: Settings) -> list[Secret]:
    """Return the secrets in the lab's folder: keys, passwords, tokens, kubeconfigs.

    Raises LabError where a file that may hold one cannot be read, or a folder.
    """
    places = [
        settings.keys_dir, f"{settings.git_dir}/credentials", f"{settings.git_dir}/receiver",
        settings.handouts_dir,
        settings.tls_dir, settings.class_dir, settings.lab_kubeconfig,
    ]  # fmt: skip
    found = [
        Secret(f"from {path.relative_to(settings.lab_dir)}", value)
        for place in places
        for path in _files(Path(place))
        for value in values_in(path.name, _read(path))
    ]
    if settings.git_password:
        found.append(Secret("git_password", settings.git_password.encode()))
    return found


def values_in(name: str, content: bytes) -> list[bytes]:
    """Return the secret values in a file of this name."""
    if name in _WHOLE:
        return [content.strip()]
    shown = _KUBECONFIG.findall(content)
    values = _AGE.findall(content) + shown + _LINK.findall(content)
    # As we write a learner's token.
    values += [value[1:-1] for value in shown if re.fullmatch(rb'".+"', value)]
    for body in _KEY_BODY.findall(content):
        values += [line for line in body.split() if line]
    for value in shown:
        try:
            values += values_in("", base64.b64decode(value, validate=True))
        except ValueError:
            continue
    return values


def in_cluster(settings: Settings, coverage: Coverage) -> list[Secret]:
    """Return the values of every Secret in the namespaces that a report is about. Raises Undecided
    if the cluster cannot be asked."""
    found = listed_in(Kubectl(settings), "secrets", coverage.scopes, patience=PATIENCE)
    return list(values_of(found))


def values_of(secrets: Iterable[Object]) -> Iterator[Secret]:
    """Yield the values of Secrets, as the API server shows them."""
    for secret in secrets:
        metadata = secret["metadata"]
        named = f"{_short(metadata['namespace'])}/{_short(metadata['name'])}"
        for entry, coded in (secret.get("data") or {}).items():
            if entry in _NO_SECRETS:
                continue
            if secret.get("type") == _TOKEN_TYPE and entry != "token-secret":
                continue
            what = f"{_short(entry)} of the Secret {named}"
            value = base64.b64decode(coded)
            yield Secret(what, value)
            for part in values_in("", value):
                yield Secret(what, part)


def _short(name: str) -> str:
    """Return a name, or its beginning: a report has it wherever the value was, and a learner
    chooses it."""
    return name if len(name) <= _LONGEST else f"{name[:_LONGEST]}…"


def _files(place: Path) -> Iterator[Path]:
    """Yield the files at or below a path. Raises LabError where a folder cannot be read."""
    if place.is_file():
        yield place
        return
    walk = os.walk(place, onerror=lambda error: _refuse(error.filename, error))
    for folder, folders, names in walk:
        folders.sort()
        yield from (path for name in sorted(names) if (path := Path(folder, name)).is_file())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        _refuse(path, error)
        return b""


def _refuse(path: str | Path, error: OSError) -> None:
    """Raise LabError for what cannot be read, unless it is gone: a file on its way to its place is
    looked for before what it replaces."""
    if not isinstance(error, FileNotFoundError):
        raise LabError(
            f"{path} cannot be read ({error.strerror}), so a report could not be cleared of"
            " its secrets: run this as the user who made the lab",
            Exit.FAILED,
        ) from None
