"""The encrypted files in learners' repositories, now and in their history."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from itertools import zip_longest
from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab, Places
from sopslab.incidents.rotation.encrypted import read_encrypted
from sopslab.incidents.rotation.plan import MOST_BYTES, MOST_FILES, Version
from sopslab.lab.tools import files
from sopslab.lab.tools.git import Git
from sopslab.policy.recipients import CONFIG

# The beginning of every value that sops encrypts.
_ENCRYPTED = "ENC[AES256_GCM"
# What a file has, as `git grep -E` finds it byte by byte, in which that beginning is written as it
# is, or in another way: with one of its characters as an escape, parted by a line break that is
# escaped, in base64, in UTF-16.
_SIGNS = (
    rb"ENC\[AES256_GCM",
    rb"\\(x|u00|U000000)(3[256]|4[1357DdEe]|5[3BbFf])",
    rb"[ENCAES256_GM[]\\([^ -~]|$)",
    rb"!!binary|!<|%TAG|!![^ ]*%",
    b"^(\xff\xfe|\xfe\xff)",
)
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Of the past: versions of a file, those of all files of a learner, and bytes of these.
_PAST, _PAST_OF_ALL, _PAST_BYTES = 100, 1000, 32 * 1024 * 1024


def encrypted_versions(
    lab: Lab,
    environments: list[Environment],
    commits: dict[str, list[str]],
    incident: str | None,
) -> dict[str, dict[str, Version]]:
    """Return the encrypted files in commits of learners' repositories, by learner and commit. A
    commit that a repository does not have is left out. Raises LabError if it cannot be read which
    commits the rotation has made.

    + commits: the commits to read, by the learner's id
    + incident: the incident of the rotation that is under way, None without one
    """
    return {
        one.id: dict(
            _versions(
                Git(lab, bare_repository(lab, one)),
                commits[one.id],
                made_commits(lab, incident, one.id) if incident is not None else [],
            )
        )
        for one in environments
        if one.id in commits
    }


def made_file(places: Places, incident: str, learner: str) -> Path:
    """Return the file with the commits that a rotation has made in a learner's repository. What the
    commits themselves say, any learner can write."""
    return Path(places.lab_dir, "rotations", f"{incident}.commits", learner)


def made_commits(places: Places, incident: str, learner: str) -> list[str]:
    """Return the commits that a rotation has made in a learner's repository, also those that no
    branch got as far as. Raises LabError if the record of them cannot be read."""
    return (files.text(made_file(places, incident, learner)) or "").split()


def _versions(
    git: Git, commits: Iterable[str], made: Sequence[str]
) -> Iterator[tuple[str, Version]]:
    for commit in commits:
        if git.commit(commit) is not None:
            yield commit, _version(git, commit, made)


def _version(git: Git, commit: str, made: Sequence[str]) -> Version:
    tree = git.tree(commit)
    found = {path: tree[path].blob for path in _likely_paths(git, commit) if path in tree}
    rules = tree.get(CONFIG)
    wanted = [*found.values(), *([] if rules is None else [rules.blob])]
    too_large = sum(git.sizes(wanted).values()) > MOST_BYTES
    texts: dict[str, str] = {}
    if not too_large:
        texts = {blob: as_text(content) for blob, content in git.blobs(wanted).items()}
        found = {path: blob for path, blob in found.items() if _is_encrypted(texts[blob])}
    blobs = {path: blob for path, blob in found.items() if is_ordinary(path)}
    odd = len(blobs) < len(found)
    if too_large or len(blobs) > MOST_FILES:
        return Version(commit, blobs, odd=odd, large=True)
    return Version(
        commit,
        blobs,
        {blob: texts[blob] for blob in blobs.values()},
        "" if rules is None else texts.get(rules.blob, ""),
        noted=_follows(git, commit, set(blobs.values()), made),
        odd=odd,
    )


def _follows(git: Git, commit: str, blobs: Set[str], made: Sequence[str]) -> bool:
    """Return whether a commit comes after one that a rotation has made, and has back nothing that
    was replaced by such a commit.

    + blobs: the encrypted files of the commit
    """
    followed = [one for one in made if git.is_ancestor(one, commit)]
    return bool(followed) and not any(
        change.split(" ")[2] in blobs
        for one in followed
        for change in git.text("diff-tree", "-r", "--no-renames", f"{one}^", one).splitlines()
    )


def _is_encrypted(text: str) -> bool:
    return _ENCRYPTED in text or read_encrypted(text) is not None


def _likely_paths(git: Git, commit: str) -> Iterator[str]:
    """Yield the paths of the files that may be encrypted."""
    signs = [option for sign in _SIGNS for option in ("-e", os.fsdecode(sign))]
    # `git grep` exits with 1 if it finds nothing, which is no failure here. A learner can have git
    # take any file for a binary one.
    said = git.ask("grep", "-z", "-l", "-a", "-E", *signs, commit).out
    for line in filter(None, said.split(b"\0")):
        _, _, path = line.partition(b":")
        yield os.fsdecode(path)


def is_ordinary(path: str) -> bool:
    """Return whether a path can be printed, and stays inside the folder that it is relative to."""
    return path.isprintable() and ".." not in path.split("/")


def as_text(content: bytes) -> str:
    """Return the content of a file as text; bytes that are neither UTF-8 nor, behind a mark, UTF-16
    are replaced."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8-sig", "replace")


def past_versions(
    lab: Lab, environments: list[Environment], commits: dict[str, str], paths: dict[str, list[str]]
) -> dict[str, dict[str, list[str]]]:
    """Return the past contents of files, up to a commit, by learner and path: the newest of each
    file, and older ones as far as the limits go.

    + commits: the last commit to read, by the learner's id
    + paths: the files to read, by the learner's id
    """
    return {
        one.id: _past(Git(lab, bare_repository(lab, one)), commits[one.id], paths.get(one.id, []))
        for one in environments
    }


def _past(git: Git, commit: str, paths: Sequence[str]) -> dict[str, list[str]]:
    most = max(1, min(_PAST, _PAST_OF_ALL // max(len(paths), 1)))
    versions = {path: _versions_of(git, commit, path, most) for path in paths}
    sizes = git.sizes(name for names in versions.values() for name in names)
    found = {}
    for path, names in _newest(versions, sizes).items():
        blobs = git.blobs(names)
        found[path] = [as_text(blobs[blob]) for blob in sorted(blobs)]
    return found


def _newest(
    versions: Mapping[str, Sequence[str]], sizes: Mapping[str, int]
) -> dict[str, list[str]]:
    """Return the versions of files that are read, by path: the newest of each, and then the next of
    each, until they have too many bytes.

    + versions: the versions of each file, the newest first, by path
    + sizes: the bytes of each version; one that is not there is left out
    """
    there = {path: [name for name in names if name in sizes] for path, names in versions.items()}
    taken: dict[str, list[str]] = {path: names[:1] for path, names in there.items()}
    left = _PAST_BYTES - sum(sizes[name] for names in taken.values() for name in names)
    for row in zip_longest(*(names[1:] for names in there.values())):
        for path, name in zip(there, row, strict=True):
            if name is None:
                continue
            left -= sizes[name]
            if left < 0:
                return taken
            taken[path].append(name)
    return taken


def _versions_of(git: Git, commit: str, path: str, most: int) -> list[str]:
    # A learner chooses the path: git would take some names for patterns.
    options = ("-n", str(most), "--format=%H")
    changed = git.text("--literal-pathspecs", "log", *options, commit, "--", path).split()
    return [f"{version}:{path}" for version in changed]
