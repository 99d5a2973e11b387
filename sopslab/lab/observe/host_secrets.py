"""The Secrets that the lab makes in the cluster from files of this machine: keys, logins, tokens.

Their values exist in this process only. The program compares hashes, and shows only hashes and
names.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from sopslab.checks.snapshot import ClusterKey
from sopslab.config.environment import Environment
from sopslab.config.naming import next_key
from sopslab.config.places import FLUX, Lab
from sopslab.lab.observe.failures import seat_failures
from sopslab.lab.observe.keys import PublicKeys, key_file, key_files, look_at_cluster_key
from sopslab.lab.observe.objects import listed
from sopslab.lab.tools.files import read
from sopslab.layout import (
    KEY_ENTRY,
    KEY_SECRET,
    NEXT_KEY_ENTRY,
    SEAT_LABEL,
    WATCHED,
)
from sopslab.model.decryption import SecretDrift
from sopslab.model.objects import Object

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


def _part(one: Object) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return the parts of a Secret that are compared: its labels, and a hash of each entry."""
    data = one.get("data") or {}
    return one["metadata"].get("labels") or {}, {name: _hash(data[name]) for name in data}


def _hash(encoded: str) -> str:
    return hashlib.sha256(encoded.encode()).hexdigest()


def secrets_of(lab: Lab, environments: Iterable[Environment]) -> dict[str, list[Object]]:
    """Return the Secrets that each environment needs, by the learner's id: its key, Flux's login to
    the Git server, and a token for the receiver. The login has the CA, too, if the server has TLS.

    An environment is left out if one of the files is missing. So is a seat that has failed.
    """
    login = _login(lab)
    token = read(f"{lab.git_dir}/receiver/token")
    failed = seat_failures(lab)
    found: dict[str, list[Object]] = {}
    for one in environments:
        key = read(key_file(lab, one.key))
        if login is None or token is None or key is None or (one.is_seat and one.id in failed):
            continue
        following = read(key_file(lab, next_key(one.key)))
        keys = {KEY_ENTRY: key} | ({} if following is None else {NEXT_KEY_ENTRY: following})
        label = labels_of(one)
        found[one.id] = [
            manifest(one.system, KEY_SECRET, keys, label | WATCHED),
            manifest(one.system, one.login, login, label),
            manifest(one.system, "receiver-token", {"token": token}, label),
        ]
    return found


def labels_of(environment: Environment) -> dict[str, str]:
    """Return the labels of an environment's Secrets; only those of a seat have any."""
    return {SEAT_LABEL: environment.id} if environment.is_seat else {}


def _login(lab: Lab) -> dict[str, bytes] | None:
    """Return the entries of Flux's login to the Git server, None if one of the files is missing."""
    files = {name: f"{lab.account_dir(FLUX)}/{name}" for name in ("username", "password")}
    if lab.git_ca is not None:
        files["ca.crt"] = lab.git_ca
    entries = {name: content for name, path in files.items() if (content := read(path)) is not None}
    return entries if entries.keys() == files.keys() else None


def secrets_drift(lab: Lab, environments: list[Environment]) -> dict[str, SecretDrift]:
    """Return the environments whose Secrets in the cluster differ from the host's files, and how.
    A seat for which the host lacks a file is left out: that seat has failed already."""
    wanted = secrets_of(lab, environments)
    lacking = [one.id for one in environments if not one.is_seat and one.id not in wanted]
    found = differing(wanted, live_secrets(lab, environments))
    return found | dict.fromkeys(lacking, SecretDrift.LACKING)


def live_secrets(lab: Lab, environments: Sequence[Environment]) -> list[Object]:
    """Return Secrets of the lab, among them at least those of the environments."""
    spaces = [one.system for one in environments]
    labelled = SEAT_LABEL if all(one.is_seat for one in environments) else None
    return listed(lab, "secrets", namespaces=spaces, selector=labelled)


def differing(
    wanted: Mapping[str, Iterable[Object]], live: Iterable[Object]
) -> dict[str, SecretDrift]:
    """Return the worst difference among each learner's Secrets. A learner whose Secrets are all as
    wanted is left out."""
    there = {_name(one): one for one in live}
    differences = {
        who: [_difference(one, there.get(_name(one))) for one in secrets]
        for who, secrets in wanted.items()
    }
    return {
        who: max(found, key=_WORST.index)
        for who, each in differences.items()
        if (found := [how for how in each if how is not None])
    }


def astray(wanted: Iterable[Object], live: Iterable[Object]) -> list[Object]:
    """Return the wanted Secrets that exist in the cluster, but differ there."""
    there = {_name(one): one for one in live}
    return [one for one in wanted if _difference(one, there.get(_name(one), one)) is not None]


def _name(one: Object) -> tuple[str | None, str]:
    return one["metadata"].get("namespace"), one["metadata"]["name"]


def _difference(wanted: Object, live: Object | None) -> SecretDrift | None:
    if live is None:
        return SecretDrift.ABSENT
    (_, held), (_, needed) = _part(live), _part(wanted)
    if wanted["metadata"]["name"] == KEY_SECRET and needed[KEY_ENTRY] not in held.values():
        return SecretDrift.KEY
    return None if _part(live) == _part(wanted) else SecretDrift.DIFFERS


def held_keys(lab: Lab, environments: list[Environment]) -> dict[str, ClusterKey]:
    """Return the keys with which Flux decrypts, by the learner's id. As long as nothing is there to
    read them with, there is none."""
    public = PublicKeys(lab)
    if not public.can_be_asked:
        return {one.id: ClusterKey(present=False) for one in environments}
    spaces = [one.system for one in environments]
    found = listed(lab, "secrets", namespaces=spaces, fields=f"metadata.name={KEY_SECRET}")
    live = {one["metadata"]["namespace"]: one.get("data") or {} for one in found}
    entries = {one.id: live.get(one.system) for one in environments}
    public.learn(file for data in entries.values() for file in key_files(data).values())
    return {who: look_at_cluster_key(data, public) for who, data in entries.items()}
