"""The learner's main, as the Git server has it, and what the store's key makes of its Secrets."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path, PurePosixPath

from sopslab.checks.doctor.seen import Manifest, Repository
from sopslab.checks.verification.cluster import Rule
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.course.chapter import Chapter
from sopslab.lab.observe.keys import find_rule
from sopslab.lab.observe.repository import open_manifest, read_manifest
from sopslab.lab.tools.programs import ask, git_environment
from sopslab.model.results import Undecided
from sopslab.policy import documents, sops
from sopslab.policy.findings import Report, Undecidable, key_path
from sopslab.policy.recipients import CONFIG, creation_rule
from sopslab.policy.sources import Repository as Git
from sopslab.policy.sources import SourceError

_MAIN = "refs/heads/main"
# A learner may push whatever the policy lets pass, and a look has to end.
_MOST_FILES, _MOST_BYTES, _MOST_COMMITS = 100, 2 * 1024 * 1024, 200
_LISTED = re.compile(r"\+ *- *(?:\./)?(\S+)\s*")


def look_at_repository(
    settings: Settings,
    environment: Environment,
    chapter: Chapter,
    executor: Executor,
    *,
    may_open: bool,
) -> Repository:
    """Return how main of a learner's repository stands. Raises Undecided if it cannot be read.

    + may_open: whether the store's identity can be used
    """
    folder = Path(bare_repository(settings, environment))
    if settings.git_url is not None:
        _fetch(settings, environment, folder)
    if not folder.is_dir():
        return Repository(there=False)
    git = Git(str(folder), git_environment())
    try:
        main, empty = _heads(git)
        if main is None:
            return Repository(empty=empty)
        files = {
            blob.path: blob.data
            for blob in git.tree(main, CONFIG, chapter.folder, most=(_MOST_FILES, _MOST_BYTES))
        }
        once_listed = frozenset(_once_listed(git, main, chapter.kustomization))
    except SourceError as error:
        raise Undecided(f"the repository cannot be read: {error}") from None

    def manifest(path: str) -> Manifest | None:
        return _manifest(settings, environment, files[path], may_open=may_open)

    in_folder = [path for path in files if str(PurePosixPath(path).parent) == chapter.folder]
    found = dict(zip(in_folder, executor.map(manifest, in_folder), strict=True))
    listing = files.get(chapter.kustomization)
    rule, unruled = _rule(files, chapter.file)
    return Repository(
        main=main,
        files=frozenset(_name(path) for path in in_folder),
        kustomization=None if listing is None else listing.decode("utf-8-sig", "replace"),
        manifests={_name(path): one for path, one in found.items() if one is not None},
        once_listed=once_listed,
        rule=rule,
        regex=_encrypted_regex(files.get(CONFIG, b""), chapter.file),
        unruled=unruled,
    )


def _name(path: str) -> str:
    return PurePosixPath(path).name


def _fetch(settings: Settings, environment: Environment, folder: Path) -> None:
    """Bring the copy of a repository up to date; where its server is silent, it stays as it is."""
    login = settings.login_file(INSTRUCTOR)
    if not folder.is_dir():
        raise Undecided("there is no copy of the repository yet", "sopslab up")
    ask(
        [
            "git", "--git-dir", str(folder), "-c", "http.proxy=", "-c", "credential.helper=",
            "-c", f"credential.helper=store --file={shlex.quote(login)}",
            "fetch", "--quiet", "--prune", f"{settings.git_url}/{environment.repository}.git",
            "+refs/heads/*:refs/heads/*",
        ],
        git_environment(),
        patience=5,
    )  # fmt: skip


def _heads(git: Git) -> tuple[str | None, bool]:
    """Return the commit of main, and whether there is no branch at all."""
    listed = git.run("for-each-ref", "--format=%(refname) %(objectname)", "refs/heads")
    heads = dict(line.split(" ", 1) for line in os.fsdecode(listed).splitlines())
    return heads.get(_MAIN), not heads


def _once_listed(git: Git, main: str, kustomization: str) -> Iterator[str]:
    """Yield what any commit wrote into the list of resources."""
    changes = git.run(
        "log", "--patch", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv",
        "--format=", f"--max-count={_MOST_COMMITS}", main, "--", kustomization,
    )  # fmt: skip
    for line in changes.decode("utf-8", "replace").splitlines():
        if listed := _LISTED.fullmatch(line):
            yield listed[1]


def _manifest(
    settings: Settings, environment: Environment, data: bytes, *, may_open: bool
) -> Manifest | None:
    """Return what a file says of itself as a Secret, None if it is none."""
    try:
        parsed = documents.parse(data.decode("utf-8-sig", "replace"))
        file = read_manifest(data, Report())
    except Undecidable:
        return None
    if parsed.error_line or file.documents != 1 or file.kind != "Secret":
        return None
    (document,) = (one for one in parsed.documents if not documents.is_null(one))
    plain = tuple(_plain(document))
    metadata = sops.metadata(document)
    if metadata is None:
        return Manifest(file, plain=plain)
    if may_open:
        file = open_manifest(settings, environment.key, file, data)
    return Manifest(file, metadata.recipients, metadata.regex, plain)


def _plain(document: documents.Node) -> Iterator[str]:
    """Yield the keys of the values of a Secret that are not encrypted."""
    for section in ("data", "stringData"):
        for key, value in documents.fields(documents.get(document, section)).items():
            text = documents.text_of(value)
            if text and not sops.is_encrypted(text):
                yield key_path(section, key)


def _rule(files: Mapping[str, bytes], path: str) -> tuple[Rule, str]:
    try:
        return find_rule(files.get, path), ""
    except Undecided as reason:
        return Rule(there=True), str(reason)


def _encrypted_regex(config: bytes, path: str) -> str | None:
    """Return the encrypted_regex of the rule for a path, None without a rule that has one."""
    try:
        parsed = documents.parse(config.decode("utf-8-sig", "replace"))
        rule = creation_rule(parsed.documents[0], path) if parsed.documents else None
    except Undecidable:
        return None
    return documents.text_of(documents.get(rule, "encrypted_regex")) or None
