"""Give encrypted files of repositories another data key, other recipients and other values.

Copies of the files are changed, which hold nothing but ciphertext; they become objects of the
repository, and the branch is moved last. The new values come with the order, and go to sops by its
standard input.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.incidents.rotation.encrypted import Leaf, read_encrypted
from sopslab.incidents.rotation.orders import Change, NewFile, NewValue, NewVersion, Order
from sopslab.lab.act.copies import worked_on
from sopslab.lab.act.failures import attempt, told
from sopslab.lab.observe.checkpoints import START, Repository, checkpoint_ref
from sopslab.lab.observe.encrypted import as_text, made_commits, made_file
from sopslab.lab.observe.keys import key_file
from sopslab.lab.observe.leaked import archived_identities
from sopslab.lab.tools import files
from sopslab.lab.tools.files import new_folder
from sopslab.lab.tools.git import MAIN, NOTHING
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.sops import Workshop
from sopslab.layout import CANARY_PATH
from sopslab.policy.recipients import CONFIG
from sopslab.policy.sops import short

# These checkpoints are made anew on top of the new start when somebody asks for them.
_CHECKPOINTS = ("encrypted", "wired", "done")
_CANARY_VALUE = Leaf("stringData", "value")


def reencrypt(lab: Lab, message: str, orders: list[Order], incident: str | None) -> None:
    """Carry out orders, each in a commit on top of what its repository has.

    + message: the message of the commits
    + incident: the incident of the rotation that they belong to, None without one
    """
    with worked_on(lab, [order.environment for order in orders]):
        for order in orders:
            with (
                attempt(lab, order.environment.id, "its files could not be re-encrypted"),
                new_folder(lab.class_dir) as folder,
            ):
                _Work(lab, message, order, incident, folder).publish()


class _Work:
    """The work on one repository, in a private folder."""

    def __init__(
        self, lab: Lab, message: str, order: Order, incident: str | None, folder: Path
    ) -> None:
        self._lab = lab
        self._message = message
        self._order = order
        self._incident = incident
        self._repository = Repository(lab, order.environment)
        self._git = self._repository.git.durable()
        self._holder = key_file(lab, order.change.holder)
        self._workshop = Workshop(lab, folder)
        self._encrypted: dict[tuple[str, str], bytes] = {}
        self._commits: dict[str, str] = {}

    def publish(self) -> None:
        """Put what is ordered on main and on the start: all of it or nothing.

        If somebody has pushed meanwhile, nothing is changed, so that their commit is not lost. The
        next look sees it, and a new order is built on top of it.
        """
        start, main = self._order.start, self._order.main
        made = {
            ref: (version, self._made(version))
            for ref, version in ((START, start), (MAIN, main))
            if version is not None
        }
        if self._incident is not None:
            self._record(self._incident)
        updates = []
        if MAIN in made:
            version, commit = made[MAIN]
            if self._repository.main != version.commit:
                return
            if self._repository.url is not None:
                lease = f"{MAIN}:{version.commit}"
                self._git.push(self._repository.url, f"{commit}:{MAIN}", lease=lease)
            updates.append(f"update {MAIN} {commit} {version.commit}")
        if START in made:
            version, commit = made[START]
            updates.append(f"update {START} {commit} {self._git.commit(START) or NOTHING}")
            refs = map(checkpoint_ref, _CHECKPOINTS)
            updates += [f"delete {ref}" for ref in refs if self._git.commit(ref) is not None]
            self._note_canary(version)
        if updates:
            self._git.unlock((MAIN, START))
            self._git.update_refs(*updates)

    def _record(self, incident: str) -> None:
        """Record the commits that were made, before any branch has them: later, nothing in the
        repository itself tells them from what a learner pushes. Like the commits, the record
        outlives a loss of power."""
        about = self._lab, incident, self._order.environment.id
        commits = [*made_commits(*about), *self._commits.values()]
        path = made_file(*about)
        files.private_folder(path.parent)
        with files.new_file(path) as file:
            file.write("".join(f"{commit}\n" for commit in commits).encode())
        for folder in (path.parent, path.parent.parent):
            files.sync(folder)

    def _made(self, version: NewVersion) -> str:
        """Return the commit that is made of a version. It is made once for both refs, if main is
        still at the start."""
        if version.commit not in self._commits:
            self._commits[version.commit] = self._commit(version)
        return self._commits[version.commit]

    def _commit(self, version: NewVersion) -> str:
        before = self._git.tree(version.commit)
        contents = {}
        if version.rules:
            old, new = str(self._order.change.old), str(self._order.change.new)
            rules = self._git.run("cat-file", "blob", before[CONFIG].blob)
            contents[CONFIG] = rules.replace(old.encode(), new.encode())
        for file in version.files:
            contents[file.path] = self._reencrypted(file)
        modes = {path: before[path].mode for path in contents}
        return self._git.commit_files(version.commit, self._message, contents, modes=modes)

    def _reencrypted(self, file: NewFile) -> bytes:
        known = (file.path, file.blob)
        if known not in self._encrypted:
            before = self._git.run("cat-file", "blob", file.blob)
            copy = self._workshop.place(file.path, before, file.recipients)
            if self._order.change.old in _recipients(before):
                opener = _opener(self._lab, self._order.change)
                self._ask_sops(opener, file, "updatekeys", "--yes", file.path)
            self._change(file)
            self._encrypted[known] = self._checked(file, copy)
        return self._encrypted[known]

    def _change(self, file: NewFile) -> None:
        # With another recipient alone, the file would keep its data key, which is known.
        self._ask_sops(self._holder, file, "rotate", "--in-place", file.path)
        for value in file.values:
            try:
                self._workshop.work(
                    self._holder,
                    *("set", "--value-stdin", file.path, value.leaf.index),
                    stdin=_as_told(value),
                )
            except Failed:
                # What sops says may quote the value.
                raise LabError(f"{file.path}: a value could not be replaced") from None

    def _ask_sops(self, identity: Path, file: NewFile, command: str, *arguments: str) -> None:
        try:
            self._workshop.work(identity, command, *arguments)
        except Failed as failure:
            raise LabError(f"{file.path}: sops {command} failed: {told(failure)}") from None

    def _checked(self, file: NewFile, copy: Path) -> bytes:
        """Return the re-encrypted file. Raises LabError if the new key does not open it, or if its
        recipients are not the ordered ones."""
        if not self._workshop.opens(self._holder, file.path):
            raise LabError(f"{file.path}: the new key does not open what became of it")
        content = copy.read_bytes()
        if _recipients(content) != set(file.recipients):
            raise LabError(f"{file.path}: it is not encrypted to those who are to read it")
        return content

    def _note_canary(self, start: NewVersion) -> None:
        """Record the hash of the new value that a seat's canary has at the start."""
        noted = Path(self._lab.seat_dir(self._order.environment.id), "canary")
        for file in start.files:
            for value in file.values:
                canary = file.path == CANARY_PATH and value.leaf == _CANARY_VALUE
                if canary and noted.exists():
                    files.write(noted, f"{hashlib.sha256(value.text.encode()).hexdigest()}\n")


def _recipients(content: bytes) -> frozenset[str]:
    found = read_encrypted(as_text(content))
    return frozenset() if found is None else found.recipients


def _opener(lab: Lab, change: Change) -> Path:
    """Return the file of the identity that opens what is encrypted to the old recipient."""
    if change.opener is not None:
        return key_file(lab, change.opener)
    archived = archived_identities(lab).get(str(change.old))
    if archived is None:
        raise LabError(f"the identity {short(str(change.old))} is not in the archive")
    return Path(archived)


def _as_told(value: NewValue) -> bytes:
    """Return a value as sops reads it: in JSON, and encoded as its field is."""
    text = value.text
    if value.leaf.section == "data":
        text = base64.b64encode(text.encode()).decode()
    return json.dumps(text).encode()
