"""Public keys of identities. An identity itself goes from its file, or from the cluster, only into
a pipe."""

from __future__ import annotations

import base64
import binascii
import hashlib
import shlex
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path

from sopslab.checks.snapshot import ClusterKey, Entry, Identity, Rule
from sopslab.config.places import INSTRUCTOR, Places
from sopslab.course.chapter import UP
from sopslab.lab.tools.files import read
from sopslab.lab.tools.private import flaw_of
from sopslab.lab.tools.programs import ask, clean_environment
from sopslab.model.results import Undecided
from sopslab.policy.findings import Undecidable
from sopslab.policy.recipients import CONFIG, Read, Rules, Trusted


def key_file(places: Places, key: str) -> Path:
    """Return the file of an identity in the lab's key store."""
    return Path(places.keys_dir) / f"{key}.agekey"


def recipients_here(places: Places) -> dict[str, str]:
    """Return the recipients whose identities are in the key store, each with the path of its
    identity below the lab's folder."""
    found: dict[str, str] = {}
    for noted in sorted(Path(places.keys_dir).rglob("*.pub")):
        identity = noted.with_suffix(".agekey")
        if identity.exists():
            path = str(identity.relative_to(places.lab_dir))
            found |= dict.fromkeys((read(noted) or b"").decode("ascii", "replace").split(), path)
    return found


class PublicKeys:
    """The public keys of the identities in key files. age-keygen is asked only once about each
    file.

    Of the key files themselves, only hashes are kept.
    """

    def __init__(self, places: Places) -> None:
        self._places = places
        self._known: dict[bytes, frozenset[str]] = {}

    @property
    def can_be_asked(self) -> bool:
        """Whether age-keygen is there, which it is not before the store is filled."""
        return Path(self._places.bin_dir, "age-keygen").exists()

    def __call__(self, identities: bytes) -> frozenset[str]:
        """Return the public keys of one key file; none if it is not valid."""
        digest = _digest(identities)
        if digest not in self._known:
            self._known[digest] = frozenset(self._ask(identities) or ())
        return self._known[digest]

    def learn(self, files: Iterable[bytes]) -> None:
        """Find the public keys of many key files in one process. If one of the files is not valid,
        learn nothing; each is then asked for by itself."""
        new = [file for file in files if file.strip() and _digest(file) not in self._known]
        counts = [sum(map(_is_identity, file.splitlines())) for file in new]
        # age-keygen prints one line for each identity, in the order of the input.
        listed = (self._ask(b"\n".join(new)) or []) if new else []
        if len(listed) != sum(counts):
            return
        answers = iter(listed)
        for file, count in zip(new, counts, strict=True):
            self._known[_digest(file)] = frozenset(islice(answers, count))

    def _ask(self, identities: bytes) -> list[str] | None:
        answer = ask(
            [str(Path(self._places.bin_dir) / "age-keygen"), "-y"],
            clean_environment(self._places),
            stdin=identities,
        )
        return answer.text.split() if answer.code == 0 else None


def _is_identity(line: bytes) -> bool:
    return bool(line.strip()) and not line.startswith(b"#")


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def look_at_identity(places: Places, key: str, public: PublicKeys) -> Identity:
    """Return the public key of an identity of the lab, or why it cannot be used and how to fix
    that. Raises Undecided if age-keygen does not answer."""
    if key == INSTRUCTOR and places.instructor_recipient is not None:
        return Identity(places.instructor_recipient)
    path = key_file(places, key)
    try:
        flaw = flaw_of(path)
    except OSError:
        return Identity(problem=f"{path} is not there", fix=UP)
    if flaw is not None:
        return Identity(problem=f"{path} {flaw.said}", fix=flaw.fix)
    try:
        found = public(path.read_bytes())
    except OSError as error:
        shown = shlex.quote(str(path))
        return Identity(problem=f"{path} cannot be read: {error.strerror}", fix=f"ls -l {shown}")
    if len(found) != 1:
        return Identity(
            problem=f"{path} does not hold one valid age identity; restore it from your backup, or"
            " from the cluster if it is intact there",
            fix=f"{UP} --key-from cluster",
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
            fix=f"{UP} --key-from cluster",
        )
    return Identity(recipient)


def key_files(data: Mapping[str, str] | None) -> dict[str, bytes]:
    """Return the entries of `sops-age`, each of which is a key file, decoded from base64. An entry
    that is not base64 becomes a key file that is not valid.

    + data: the entries in base64, None without that Secret
    """
    files: dict[str, bytes] = {}
    for name, encoded in (data or {}).items():
        try:
            files[name] = base64.b64decode(encoded or "")
        except binascii.Error:
            files[name] = b"-"
    return files


def look_at_cluster_key(data: Mapping[str, str] | None, public: PublicKeys) -> ClusterKey:
    """Return the public keys of the identities in the entries of `sops-age`. Raises Undecided if
    age-keygen does not answer.

    + data: the entries in base64, None without that Secret
    """
    if data is None:
        return ClusterKey(present=False)
    entries: dict[str, frozenset[str] | Entry] = {}
    for name, value in key_files(data).items():
        found = public(value) if value.strip() else frozenset[str]()
        entries[name] = found or (Entry.INVALID if value.strip() else Entry.EMPTY)
    return ClusterKey(present=True, entries=entries)


def find_rule(read: Read, file: str) -> Rule:
    """Return to which recipients the creation rules of a tree encrypt a file. Raises Undecided if
    the rules cannot be read.

    + read: returns a file of the tree, None if it is not there
    """
    if read(CONFIG) is None:
        return Rule(there=False)
    rules = Rules(read, lambda folder: not folder, Trusted())
    try:
        expected = rules.expected(file, in_secrets_tree=True)
    except Undecidable as error:
        raise Undecided(f"{CONFIG} {error}") from None
    return Rule(there=True, recipients=None if expected.no_rule else expected.required)
