"""The Secrets that the cluster has from files of this machine: decryption keys, logins, tokens.

Values exist in this process only: what is compared, and what is told of it, are hashes and names.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sopslab.config.naming import next_key, seat_system_namespace
from sopslab.config.places import FLUX, Lab
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.tools import sops
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed
from sopslab.layout import (
    FLUX_NAMESPACE,
    KEY_ENTRY,
    KEY_SECRET,
    NEXT_KEY_ENTRY,
    SEAT_LABEL,
    WATCHED,
)
from sopslab.model.decryption import DecryptionKeyState, SecretDrift
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

_WORST = tuple(SecretDrift)


def manifest(
    namespace: str, name: str, entries: Mapping[str, bytes], labels: Mapping[str, str]
) -> Object:
    """Return a Secret with exactly the given entries."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": name, "namespace": namespace, "labels": dict(labels)},
        "data": {entry: base64.b64encode(value).decode() for entry, value in entries.items()},
    }


def secret_matches(
    lab: Lab, namespace: str, secret: str, entries: dict[str, str], labels: dict[str, str]
) -> bool:
    """Return whether a Secret of the cluster has exactly the entries that files hold, and the
    labels.

    + entries: the name of each entry, and the file that holds its value
    """
    values = {entry: read(path) for entry, path in entries.items()}
    if not has_content(lab.lab_kubeconfig) or None in values.values():
        return False
    try:
        live = Kubectl(lab).get("secret", secret, namespace, patience=20)
    except Undecided:
        return False
    held = {entry: value for entry, value in values.items() if value is not None}
    return live is not None and _part(live) == _part(manifest(namespace, secret, held, labels))


def _part(one: Object) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return what of a Secret has to be as it should: its labels, and its entries by hash."""
    data = one.get("data") or {}
    return one["metadata"].get("labels") or {}, {name: _hash(data[name]) for name in data}


def _hash(encoded: str) -> str:
    return hashlib.sha256(encoded.encode()).hexdigest()


def of_seats(lab: Lab, seats: Sequence[str]) -> list[Object]:
    """Return the namespaces of seats, and the Secrets that each is given: key material, a password,
    a token, and whom Flux trusts where the Git server has TLS.

    A seat that has failed, or whose files are not all there, is left out.
    """
    login = _login(lab)
    token = read(f"{lab.git_dir}/receiver/token")
    failed = seat_failures(lab)
    found: list[Object] = []
    for seat in seats:
        key = read(f"{lab.keys_dir}/{seat}.agekey")
        if login is None or token is None or key is None or seat in failed:
            continue
        following = read(f"{lab.keys_dir}/{next_key(seat)}.agekey")
        keys = {KEY_ENTRY: key} | ({} if following is None else {NEXT_KEY_ENTRY: following})
        namespace, label = seat_system_namespace(seat), {SEAT_LABEL: seat}
        found += [
            {
                "apiVersion": "v1",
                "kind": "Namespace",
                "metadata": {"name": namespace, "labels": label},
            },
            manifest(namespace, KEY_SECRET, keys, label | WATCHED),
            manifest(namespace, "git-credentials", login, label),
            manifest(namespace, "receiver-token", {"token": token}, label),
        ]
    return found


def _login(lab: Lab) -> dict[str, bytes] | None:
    """Return the entries with which Flux reads Git at a seat, None where a file is not there."""
    files = {name: f"{lab.account_dir(FLUX)}/{name}" for name in ("username", "password")}
    if lab.git_authority is not None:
        files["ca.crt"] = lab.git_authority
    entries = {name: content for name, path in files.items() if (content := read(path)) is not None}
    return entries if entries.keys() == files.keys() else None


def seat_secrets_drift(lab: Lab, seats: list[str]) -> dict[str, SecretDrift]:
    """Return the seats whose Secrets in the cluster are not as the host has them, and in what."""
    return differing(of_seats(lab, seats), _live(lab))


def differing(wanted: Iterable[Object], live: Iterable[Object]) -> dict[str, SecretDrift]:
    """Return for each seat of which a Secret is not as wanted the worst that is wrong."""
    there = {_name(one): one for one in live}
    found: dict[str, SecretDrift] = {}
    for one in wanted:
        how = _difference(one, there.get(_name(one))) if one["kind"] == "Secret" else None
        if how is not None:
            seat = one["metadata"]["labels"][SEAT_LABEL]
            found[seat] = max(found.get(seat, how), how, key=_WORST.index)
    return found


def _name(one: Object) -> tuple[str | None, str]:
    return one["metadata"].get("namespace"), one["metadata"]["name"]


def _difference(wanted: Object, live: Object | None) -> SecretDrift | None:
    if live is None:
        return SecretDrift.ABSENT
    (_, held), (_, needed) = _part(live), _part(wanted)
    if wanted["metadata"]["name"] == KEY_SECRET and needed[KEY_ENTRY] not in held.values():
        return SecretDrift.KEY
    return None if _part(live) == _part(wanted) else SecretDrift.DIFFERS


def _live(lab: Lab, fields: str | None = None) -> list[Object]:
    if not has_content(lab.lab_kubeconfig):
        return []
    try:
        return Kubectl(lab).list("secrets", selector=SEAT_LABEL, fields=fields, patience=30)
    except Undecided:
        return []


def seats_with_keys(lab: Lab, seats: list[str]) -> list[str]:
    """Return the seats for which the cluster has a decryption key, of those asked for."""
    named = {one["metadata"]["labels"][SEAT_LABEL] for one in _keys(lab)}
    return [seat for seat in seats if seat in named]


def _keys(lab: Lab) -> list[Object]:
    return _live(lab, f"metadata.name={KEY_SECRET}")


def recipients_in_cluster(lab: Lab, seats: Sequence[str]) -> dict[str, str]:
    """Return whom the cluster decrypts for at seats, in words where it has no valid identity."""
    held = {one["metadata"]["labels"][SEAT_LABEL]: one for one in _keys(lab)}
    found = {seat: _recipients(lab, held.get(seat, {}), KEY_ENTRY) for seat in seats}
    return {seat: " ".join(each) or "no valid identity" for seat, each in found.items()}


def held_key(lab: Lab) -> DecryptionKeyState:
    """Return how the key stands with which Flux decrypts on a lab without a class."""
    if not has_content(lab.lab_kubeconfig):
        return DecryptionKeyState()
    try:
        live = Kubectl(lab).get("secret", KEY_SECRET, FLUX_NAMESPACE, patience=20)
    except Undecided:
        live = None
    if live is None:
        return DecryptionKeyState()
    labels = live["metadata"].get("labels") or {}
    return DecryptionKeyState(
        present=True,
        recipient=next(iter(_recipients(lab, live, KEY_ENTRY)), None),
        next=next(iter(_recipients(lab, live, NEXT_KEY_ENTRY)), None),
        entries=tuple(sorted(live.get("data") or {})),
        watched=labels.items() >= WATCHED.items(),
    )


def _recipients(lab: Lab, found: Any, entry: str) -> Sequence[str]:
    """Return the recipients of the identities in an entry of a Secret, none where it has none."""
    try:
        identities = base64.b64decode((found.get("data") or {})[entry] or "")
        return sops.recipients(lab, identities)
    except (Failed, KeyError, binascii.Error):
        return ()
