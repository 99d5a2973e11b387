"""The chapter's files in repositories: on main on the Git server, and in a clone's working folder.

No tree is checked out. What a learner has pushed is read as Git objects, and links are not
followed.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from sopslab.checks.snapshot import Branches, Manifest, Rule, Tree
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR, Places
from sopslab.course.chapter import UP, Chapter
from sopslab.lab.observe.keys import find_rule
from sopslab.lab.observe.secret_files import open_manifest, read_manifest
from sopslab.lab.tools.git import MAIN, login_options
from sopslab.lab.tools.programs import git_environment, try_ask
from sopslab.layout import SECRETS
from sopslab.model.results import Undecided
from sopslab.policy import documents, engine
from sopslab.policy.findings import Report, Undecidable
from sopslab.policy.gitleaks import begin
from sopslab.policy.recipients import CONFIG, Trusted, creation_rule
from sopslab.policy.sources import SYMLINK, Blob, SourceError, TooMuch
from sopslab.policy.sources import Repository as Git

# A learner may push anything that the policy allows, so a look needs a limit.
MOST = (100, 2 * 1024 * 1024)  # files, bytes
_MOST_COMMITS = 200
_FETCH_S = 5
_REGULAR = "100644"
_LISTED = re.compile(r"\+ *- *(?:\./)?(\S+)\s*")

Files = Mapping[str, Blob]
"""The creation rules and all files in the folder of secrets, by path."""


@dataclass(frozen=True)
class Opener:
    """Decrypts files with an identity of the store, several at a time."""

    places: Places
    key: str
    executor: Executor

    def __call__(self, manifests: Mapping[str, Manifest], files: Files) -> dict[str, Manifest]:
        """Return the manifests, those that are encrypted with what sops decrypts. Raises Undecided
        if sops does not answer.

        + manifests: the manifests by path
        """
        return dict(
            zip(
                manifests,
                self.executor.map(
                    lambda path: self._open(manifests[path], files[path].data), manifests
                ),
                strict=True,
            )
        )

    def _open(self, manifest: Manifest, data: bytes) -> Manifest:
        if manifest.recipients is None:
            return manifest
        return open_manifest(self.places, self.key, manifest, data)


def read_tree(
    commit: str | None,
    files: Files,
    chapter: Chapter,
    report: Report,
    *,
    once_listed: frozenset[str] | Undecided,
    opener: Opener | None = None,
) -> Tree:
    """Return what the files of a tree say. Raises Undecided if a file is to be decrypted, and sops
    does not answer.

    + commit: the commit of the tree, None before the first
    + report: what the policy says of the files
    + once_listed: the files that the list of resources has ever had
    + opener: decrypts files; without it, none is decrypted
    """
    inside = [path for path in files if str(PurePosixPath(path).parent) == chapter.folder]
    manifests = {
        path: found for path in inside if (found := read_manifest(files[path].data)) is not None
    }
    if opener is not None:
        manifests = opener(manifests, files)
    listing = files.get(chapter.kustomization)
    rule, unruled = _rule(files, chapter.file)
    return Tree(
        commit,
        frozenset(map(_name, inside)),
        None if listing is None else listing.data.decode("utf-8-sig", "replace"),
        {_name(path): one for path, one in manifests.items()},
        once_listed,
        rule,
        _encrypted_regex(files, chapter.file),
        unruled,
        report,
    )


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _rule(files: Files, path: str) -> tuple[Rule, str]:
    def read(asked: str) -> bytes | None:
        return files[asked].data if asked in files else None

    try:
        return find_rule(read, path), ""
    except Undecided as reason:
        return Rule(there=True), str(reason)


def _encrypted_regex(files: Files, path: str) -> str | None:
    """Return the encrypted_regex of the creation rule for a path, None if there is no such rule, or
    it has none."""
    if CONFIG not in files:
        return None
    try:
        parsed = documents.parse(files[CONFIG].data.decode("utf-8-sig", "replace"))
        rule = creation_rule(parsed.documents[0], path) if parsed.documents else None
    except Undecidable:
        return None
    return documents.text_of(documents.get(rule, "encrypted_regex")) or None


# A repository on the Git server


def look_at_branches(git: Git, *more: str) -> tuple[Branches, dict[str, str]]:
    """Return the branches of a repository, and the commit of each reference by its name. Raises
    SourceError.

    + more: other references to list besides branches
    """
    listed = git.run("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads", *more)
    # Split as bytes: text would also be split at characters that the name of a ref may contain.
    refs = dict(os.fsdecode(line).split(" ", 1) for line in listed.splitlines())
    empty = not any(name.startswith("refs/heads/") for name in refs)
    return Branches(refs.get(MAIN), empty), refs


def files_of(git: Git, commit: str) -> dict[str, Blob]:
    """Return the files of the chapter in a commit, by path. Raises SourceError."""
    return {blob.path: blob for blob in git.tree(commit, CONFIG, SECRETS, most=MOST)}


def once_listed(git: Git, commit: str, kustomization: str) -> frozenset[str] | Undecided:
    """Return every file that the list of resources has had, up to a commit, as far as the last 200
    changes of the list tell; or that these say too much. Raises SourceError."""
    try:
        changes = git.run(
            "log", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv",
            "--format=", f"--max-count={_MOST_COMMITS}", commit, "--", kustomization,
        )  # fmt: skip
    except TooMuch as error:
        return Undecided(f"what {kustomization} has listed is not known: {error}")
    lines = changes.decode("utf-8", "replace").splitlines()
    return frozenset(listed[1] for line in lines if (listed := _LISTED.fullmatch(line)))


def bare(places: Places, environment: Environment) -> Git | None:
    """Return the learner's repository on the lab's machine, None if it does not exist.

    If the Git server is not the lab's own, this is a copy. The copy is brought up to date, or stays
    as it is if the server does not answer. Raises Undecided if the copy does not exist yet.
    """
    folder = Path(bare_repository(places, environment))
    if places.git_url is not None:
        _fetch(places, environment, folder)
    return Git(str(folder), git_environment()) if folder.is_dir() else None


def _fetch(places: Places, environment: Environment, folder: Path) -> None:
    if not folder.is_dir():
        raise Undecided("there is no copy of the repository yet", UP)
    trusted = {} if places.git_ca is None else {"GIT_SSL_CAINFO": places.git_ca}
    try_ask(
        [
            "git", "--git-dir", str(folder), "fetch", "--quiet", "--prune",
            f"{places.git_base_url}/{environment.repository}.git", "+refs/heads/*:refs/heads/*",
        ],
        git_environment() | login_options(places.login_file(INSTRUCTOR)) | trusted,
        patience=_FETCH_S,
    )  # fmt: skip


def unreadable(error: SourceError) -> Undecided:
    """Return that a repository cannot be read, and why."""
    return Undecided(f"the repository cannot be read: {error}")


# A clone


def look_at_clone(
    places: Places, work: Path, commit: str | None, chapter: Chapter, opener: Opener | None
) -> Tree:
    """Return what the files in a clone's working folder say. Files that Git ignores are left out,
    except the file of the exercise.

    Raises Undecided if the clone cannot be read.

    + commit: the clone's HEAD, None before the first commit
    + opener: decrypts files; without it, none is decrypted
    """
    git = Git(str(work), git_environment())
    try:
        named = git.run(
            "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", CONFIG, SECRETS
        )
        listed: frozenset[str] | Undecided = frozenset()
        if commit is not None:
            listed = once_listed(git, commit, chapter.kustomization)
    except SourceError as error:
        raise unreadable(error) from None
    paths = {os.fsdecode(path) for path in named.split(b"\0") if path} | {chapter.file}
    files = _files_on_disk(work, sorted(paths))
    report = judge(places, {"": files})[""]
    return read_tree(commit, files, chapter, report, once_listed=listed, opener=opener)


def _files_on_disk(work: Path, paths: Sequence[str]) -> dict[str, Blob]:
    files: dict[str, Blob] = {}
    left = MOST[1]
    for path in paths:
        file = work / path
        try:
            if file.is_symlink():
                files[path] = Blob(path, SYMLINK, os.fsencode(file.readlink()))
            elif file.is_file():
                with file.open("rb") as opened:
                    files[path] = Blob(path, _REGULAR, opened.read(left + 1))
        except OSError as error:
            raise Undecided(f"{path} cannot be read: {error.strerror}") from None
        left -= len(files[path].data) if path in files else 0
        if len(files) > MOST[0] or left < 0:
            raise Undecided(f"more than {MOST[0]} files or {MOST[1]} bytes to look at in {SECRETS}")
    return files


# The policy


def judge(places: Places, heads: Mapping[str, Files]) -> dict[str, Report]:
    """Return what the policy says of the secrets in each of several trees. All trees are checked in
    one run, because gitleaks takes longer to start than to read the secrets of a class."""
    if not heads:
        return {}
    source = _Heads({f"@{name}": files for name, files in heads.items()})
    with begin(f"{places.bin_dir}/gitleaks") as begun:
        answer = engine.check(source, Trusted(), begun)
    reports = {f"@{name}": Report() for name in heads}
    for finding in answer.findings:
        path = finding.path.removeprefix(f"{finding.commit}/")
        reports[finding.commit].findings.append(replace(finding, path=path, commit=""))
    for reason in answer.undecided:
        folder, _, rest = reason.partition("/")
        if folder in reports:
            reports[folder].undecided.append(rest)
            continue
        # A reason without a file concerns all trees, for example that gitleaks is missing.
        for report in reports.values():
            report.undecided.append(reason)
    return {folder.removeprefix("@"): report for folder, report in reports.items()}


class _Heads:
    """The secrets of several trees as one tree, in which each tree has a folder.

    A folder is named `@` and the seat. The `@` is there so that no rule of the policy depends on
    the name of a seat, as some rules depend on a folder `tests`.
    """

    def __init__(self, heads: Mapping[str, Files]) -> None:
        self._heads = heads

    def blobs(self) -> Iterator[Blob]:
        """Yield every file in the folders of secrets; the name of the tree takes the place of the
        commit."""
        for folder, files in self._heads.items():
            for blob in files.values():
                if blob.path != CONFIG:
                    yield replace(blob, path=f"{folder}/{blob.path}", commit=folder)

    def read(self, commit: str, path: str) -> bytes | None:
        """Return a file of a tree, None if it is not there.

        + commit: the name of the tree
        """
        blob = self._heads[commit].get(path.removeprefix(f"{commit}/"))
        return None if blob is None else blob.data

    def is_top(self, folder: str) -> bool:
        """Return whether a folder is the folder of a tree."""
        return folder in self._heads

    def share(self, commit: str) -> str:
        """Return the name of the tree: no tree's expressions cost another one its judgement."""
        return commit
