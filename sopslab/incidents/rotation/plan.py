"""Which files of a repository a rotation changes, and which values in them. Pure."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sopslab.incidents.rotation.encrypted import EncryptedFile, Leaf, read_encrypted
from sopslab.model.incidents import SENTENCE_LENGTH
from sopslab.policy import sops

if TYPE_CHECKING:
    from sopslab.incidents.rotation.record import Rotation

MOST_FILES, MOST_BYTES = 200, 8 * 1024 * 1024
"""How many encrypted files of a version, and how many bytes of these, a rotation looks at.

A learner may push anything that the policy allows."""
LARGE = (
    f"it has more than {MOST_FILES} encrypted files, or more than {MOST_BYTES // 1024**2} MiB of"
    " them, and a rotation looks at no more: remove some first"
)

# The trailer in the message of the commit that carries out a rotation, for people to read: learners
# can write it, too.
TRAILER = "Sops-lab-incident"


@dataclass(frozen=True)
class Version:
    """A commit of a repository, with its encrypted files.

    + files: the blob of each encrypted file, by path
    + texts: the content of each of these blobs, none if `large`
    + rules: the text of the commit's `.sops.yaml`
    + noted: whether a commit that the rotation has made is this one, or one before it
    + odd: whether encrypted files are left out because of their paths, which cannot be printed or
      contain `..`
    + large: whether the encrypted files are too many or too large, so that none of them is read
    """

    commit: str
    files: Mapping[str, str] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    rules: str = ""
    noted: bool = False
    odd: bool = False
    large: bool = False

    def encrypted(self) -> Iterator[tuple[str, EncryptedFile]]:
        """Yield the path of each encrypted file, and what can be read in the file; nothing if they
        are too many or too large."""
        if self.large:
            return
        for path, blob in self.files.items():
            found = read_encrypted(self.texts[blob])
            if found is not None:
                yield path, found


@dataclass(frozen=True)
class FilePlan:
    """A file that gets a new data key, and what else changes in it.

    + fresh: the values that the lab makes up
    + given: the values that a human gave
    + human: the values that only a human can make, and has not given yet
    + recipients: all recipients to which the file is encrypted now
    + foreign: the kinds of its recipients for which sops would ask a service
    """

    path: str
    blob: str
    secret: str
    fresh: tuple[Leaf, ...] = ()
    given: tuple[Leaf, ...] = ()
    human: tuple[Leaf, ...] = ()
    recipients: tuple[str, ...] = ()
    foreign: frozenset[str] = frozenset()


@dataclass(frozen=True)
class VersionPlan:
    """What changes in one version: files, and whether `.sops.yaml` gets another recipient."""

    commit: str
    files: tuple[FilePlan, ...] = ()
    rules: bool = False

    @property
    def empty(self) -> bool:
        """Whether nothing changes."""
        return not self.files and not self.rules


def value_name(secret: str, leaf: Leaf) -> str:
    """Return the name of a value in the form NAME/KEY: its Secret and its key."""
    return f"{secret}/{leaf.key}"


def plan_version(
    rotation: Rotation, version: Version, *, old: str | None, given: Sequence[str]
) -> VersionPlan:
    """Return what a rotation changes in a version.

    + old: the recipient that is removed, None if no key changes
    + given: the values that a human gives now, as NAME/KEY
    """
    files = []
    for path, found in version.encrypted():
        # With the leaked key, all values of such a file could be read.
        opened = old is not None and old in found.recipients
        if opened:
            wanted = found.leaves
        elif old is None and not version.noted:
            wanted = _named(found, rotation.exposed)
        else:
            wanted = _named(found, given)
        if opened or wanted:
            blob = version.files[path]
            plan = _file_plan(path, blob, found, wanted, given)
            files.append(replace(plan, foreign=sops.foreign_kinds(version.texts[blob])))
    rules = old is not None and old in version.rules
    return VersionPlan(version.commit, tuple(files), rules)


def _named(found: EncryptedFile, names: Sequence[str]) -> tuple[Leaf, ...]:
    """Return the values that are named, either by their Secret (NAME) or each by itself
    (NAME/KEY)."""
    return tuple(
        leaf
        for leaf in found.leaves
        if found.secret in names or value_name(found.secret, leaf) in names
    )


def _file_plan(
    path: str, blob: str, found: EncryptedFile, wanted: Sequence[Leaf], given: Sequence[str]
) -> FilePlan:
    by_hand = [leaf for leaf in wanted if value_name(found.secret, leaf) in given]
    others = tuple(leaf for leaf in wanted if leaf not in by_hand)
    return FilePlan(
        path,
        blob,
        found.secret,
        fresh=others if found.free else (),
        given=tuple(by_hand),
        human=() if found.free else others,
        recipients=tuple(sorted(found.recipients)),
    )


def asks_elsewhere(plan: VersionPlan) -> str | None:
    """Return in a sentence why sops must not be started on the files of a plan, None if it may."""
    for file in plan.files:
        if file.foreign:
            return (
                f"{file.path} has a recipient that is not age's"
                f" ({', '.join(sorted(file.foreign))}), for which sops would ask a service: encrypt"
                " it again first"
            )
    return None


def unknown_values(version: Version, named: Sequence[str]) -> list[str]:
    """Return those of the names that no file of a version holds.

    + named: names as NAME or NAME/KEY
    """
    known = set()
    for _, found in version.encrypted():
        known.add(found.secret)
        known |= {value_name(found.secret, leaf) for leaf in found.leaves}
    return [name for name in named if name not in known]


def rotated_files(before: Version, after: Version) -> list[str]:
    """Return the paths of the files that are in both versions and differ."""
    return [path for path, blob in after.files.items() if before.files.get(path, blob) != blob]


def faults(version: Version, *, old: str | None, new: str | None) -> list[str]:
    """Return in sentences what is wrong with a version after a rotation.

    + old: the recipient that was removed, None if no key changed
    + new: the recipient that replaced it, None if no key changed
    """
    found = [LARGE] if version.large else []
    for path, file in version.encrypted():
        if old is not None and old in file.recipients:
            found.append(f"{path} is still encrypted to the old key")
        elif new is not None and new not in file.recipients and file.secret:
            found.append(f"{path} is not encrypted to the new key")
        if file.exposed:
            found.append(f"{path} holds a value in plain text")
    return found


def still_exposed(before: Version, after: Version, exposed: Sequence[str]) -> list[str]:
    """Return in sentences which files have a value that leaked, and are as they were before the
    rotation.

    + exposed: the values that leaked, as NAME or NAME/KEY
    """
    # A learner may have moved a file meanwhile.
    former = set(before.files.values())
    return [
        f"{path} is as it was when the rotation began, with what leaked"
        for path, found in after.encrypted()
        if _named(found, exposed) and after.files[path] in former
    ]


def remains(repository: str, before: Version, files: Sequence[str], old: str | None) -> list[str]:
    """Return in sentences what stays exposed for ever after a rotation.

    + repository: the path of the repository
    + before: the version before the rotation
    + files: the paths of the files that were changed
    + old: the recipient that was removed, None if no key changed
    """
    if not files:
        return []
    whom = "whoever has seen them" if old is None else f"whoever has the key {old[:16]}…"
    named = ", ".join(posixpath.basename(path) for path in files[:5])
    more = f" and {len(files) - 5} more" if len(files) > 5 else ""
    begin = f"{repository}, up to commit {before.commit[:12]}: the old values of"
    sentence = f"{begin} {named}{more}, for {whom}"
    if len(sentence) > SENTENCE_LENGTH:
        counted = "a file" if len(files) == 1 else f"{len(files)} files"
        sentence = f"{begin} {counted}, for {whom}"
    return [sentence]
