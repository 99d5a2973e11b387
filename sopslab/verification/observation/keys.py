"""Keys: public ones only. An identity goes from its file, or from the cluster, into a pipe."""

from __future__ import annotations

import base64
import binascii
import os
import shlex
import stat
from collections.abc import Mapping
from pathlib import Path

from sopslab.policy.findings import Undecidable
from sopslab.policy.recipients import CONFIG, Rules, Trusted
from sopslab.settings import Settings
from sopslab.verification.judgement.cluster import ClusterKey, Entry, Identity, Rule
from sopslab.verification.observation.programs import ask, lab_environment
from sopslab.verification.results import Undecided


def key_file(settings: Settings, key: str) -> Path:
    """Return where an identity of the lab lies."""
    return Path(settings.keys_dir) / f"{key}.agekey"


def look_at_identity(settings: Settings, key: str) -> Identity:
    """Return the public key of an identity of the store, or why there is none."""
    path = key_file(settings, key)
    shown = shlex.quote(str(path))
    try:
        status = path.lstat()
    except OSError:
        return Identity(problem=f"{path} is not there", fix="sopslab up")
    if stat.S_ISLNK(status.st_mode) or not stat.S_ISREG(status.st_mode):
        return Identity(problem=f"{path} is a link or no file at all", fix=f"ls -l {shown}")
    if status.st_uid != os.getuid():
        return Identity(
            problem=f"{path} belongs to somebody else", fix=f"sudo chown {os.getuid()} {shown}"
        )
    if status.st_mode & 0o077:
        return Identity(problem=f"{path} can be read by others", fix=f"chmod 600 {shown}")
    try:
        found = public_keys(settings, path.read_bytes())
    except OSError as error:
        return Identity(problem=f"{path} cannot be read: {error.strerror}", fix=f"ls -l {shown}")
    if len(found) != 1:
        return Identity(
            problem=f"{path} does not hold one valid age identity; restore it from your backup, or"
            " from the cluster if it is intact there",
            fix="sopslab up --key-from cluster",
        )
    (recipient,) = found
    try:
        recorded = path.with_suffix(".pub").read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        recorded = recipient
    if recorded != recipient:
        return Identity(
            problem=f"{path} is {recipient}, but it was {recorded} when it was made; restore it"
            " from your backup, or from the cluster if it is intact there",
            fix="sopslab up --key-from cluster",
        )
    return Identity(recipient)


def public_keys(settings: Settings, identities: bytes) -> frozenset[str]:
    """Return the public keys of the identities in a key file, empty if it is not valid."""
    answer = ask(
        [str(Path(settings.bin_dir) / "age-keygen"), "-y"],
        lab_environment(settings),
        stdin=identities,
    )
    return frozenset(answer.text.split()) if answer.code == 0 else frozenset()


def look_at_cluster_key(settings: Settings, data: Mapping[str, str] | None) -> ClusterKey:
    """Return what the entries of `sops-age` hold, in public.

    + data: the entries in base64, None without that Secret
    """
    if data is None:
        return ClusterKey(present=False)
    entries: dict[str, frozenset[str] | Entry] = {}
    for name, encoded in data.items():
        try:
            value = base64.b64decode(encoded or "")
        except binascii.Error:
            value = b"-"
        found = public_keys(settings, value) if value.strip() else frozenset[str]()
        entries[name] = found or (Entry.INVALID if value.strip() else Entry.EMPTY)
    return ClusterKey(present=True, entries=entries)


def look_at_rule(work: Path, file: str) -> Rule:
    """Return for whom the creation rules of a working copy encrypt a file."""

    def read(path: str) -> bytes | None:
        try:
            return (work / path).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise Undecided(f"{path} cannot be read: {error.strerror}") from None

    if read(CONFIG) is None:
        return Rule(there=False)
    rules = Rules(read, lambda folder: not folder, Trusted())
    try:
        expected = rules.expected(file, in_secrets_tree=True)
    except Undecidable as error:
        raise Undecided(f"{CONFIG} {error}") from None
    return Rule(there=True, recipients=None if expected.no_rule else expected.required)
