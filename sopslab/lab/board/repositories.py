"""The learners' repositories, as the Git server keeps them on this machine.

Three processes for each of them, one where its main is known already, and one run of the policy
over all that is new: gitleaks takes longer to start than to read the secrets of a class.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from sopslab.checks.board.seen import Repository, Tree
from sopslab.checks.board.steps import chapter_at
from sopslab.checks.verification.repository import SecretFile
from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.lab.observe.keys import find_rule
from sopslab.lab.observe.repository import read_manifest
from sopslab.lab.tools.programs import git_environment
from sopslab.model.results import Undecided
from sopslab.policy import engine
from sopslab.policy.findings import Report
from sopslab.policy.gitleaks import begin
from sopslab.policy.recipients import CONFIG, Trusted
from sopslab.policy.sources import Blob, SourceError
from sopslab.policy.sources import Repository as Git

MAIN, START = "refs/heads/main", "refs/lab/start"
_SECRETS = "flux/secrets"
# A learner may push whatever the policy lets pass, and a look has to end.
_MOST_FILES, _MOST_BYTES = 100, 2 * 1024 * 1024

Files = Mapping[str, Blob]


@dataclass(frozen=True)
class _Read:
    """A repository before the policy has seen its files; they are None if that is not needed."""

    repository: Repository
    files: Files | None = None


class Repositories:
    """All repositories of a class, any number of times; what did not change is not read again."""

    def __init__(self, settings: Settings, executor: Executor) -> None:
        self._settings = settings
        self._executor = executor
        self._known: dict[str, Repository] = {}

    def look(self, environments: Sequence[Environment]) -> dict[str, Repository]:
        """Return the repository of each environment, by the id of its learner."""
        read = dict(
            zip(
                [environment.id for environment in environments],
                self._executor.map(self._read, environments),
                strict=True,
            )
        )
        new = {seat: one.files for seat, one in read.items() if one.files is not None}
        reports = _judged(new, f"{self._settings.bin_dir}/gitleaks")
        found: dict[str, Repository] = {}
        for environment in environments:
            seat = environment.id
            found[seat] = read[seat].repository
            if seat in new:
                found[seat] = _with_tree(found[seat], new[seat], environment, reports[seat])
        self._known = found
        return found

    def _read(self, environment: Environment) -> _Read:
        folder = Path(self._settings.git_dir, "repositories", f"{environment.repository}.git")
        if not folder.is_dir():
            return _Read(Repository(there=False))
        git = Git(str(folder), git_environment())
        try:
            refs = _refs(git)
            now = Repository(head=refs.get(MAIN), start=refs.get(START))
            known = self._known.get(environment.id)
            if now.head is None:
                return _Read(now)
            if known is not None and known.head == now.head and known.tree is not None:
                return _Read(replace(now, tree=known.tree))
            files = {
                blob.path: blob
                for blob in git.tree(now.head, CONFIG, _SECRETS, most=(_MOST_FILES, _MOST_BYTES))
            }
        except SourceError as error:
            return _Read(Repository(problem=f"the repository cannot be read: {error}"))
        return _Read(now, files)


def _refs(git: Git) -> dict[str, str]:
    listed = git.run("for-each-ref", "--format=%(refname) %(objectname)", MAIN, START)
    return dict(line.split(" ", 1) for line in os.fsdecode(listed).splitlines())


class _Heads:
    """The secrets of several repositories as one tree, in which each has a folder.

    A folder is named `@` and a seat: no rule of the policy goes by that, as some do by `tests`.
    """

    def __init__(self, heads: Mapping[str, Files]) -> None:
        self._heads = heads

    def blobs(self) -> Iterator[Blob]:
        """Yield every file among the secrets; the repository takes the place of the commit."""
        for folder, files in self._heads.items():
            for blob in files.values():
                if blob.path != CONFIG:
                    yield replace(blob, path=f"{folder}/{blob.path}", commit=folder)

    def read(self, commit: str, path: str) -> bytes | None:
        """Return a file of that repository."""
        blob = self._heads[commit].get(path.removeprefix(f"{commit}/"))
        return None if blob is None else blob.data

    def is_top(self, folder: str) -> bool:
        """True for the folder of a repository."""
        return folder in self._heads


def _judged(heads: Mapping[str, Files], gitleaks: str) -> dict[str, Report]:
    """Return what the policy says of the secrets in each repository."""
    if not heads:
        return {}
    source = _Heads({f"@{seat}": files for seat, files in heads.items()})
    with begin(gitleaks) as begun:
        answer = engine.check(source, Trusted(), begun)
    reports = {f"@{seat}": Report() for seat in heads}
    for finding in answer.findings:
        path = finding.path.removeprefix(f"{finding.commit}/")
        reports[finding.commit].findings.append(replace(finding, path=path, commit=""))
    for reason in answer.undecided:
        folder, _, rest = reason.partition("/")
        if folder in reports:
            reports[folder].undecided.append(rest)
            continue
        # What is said of no file concerns all of them: without gitleaks, for example.
        for report in reports.values():
            report.undecided.append(reason)
    return {folder.removeprefix("@"): report for folder, report in reports.items()}


def _with_tree(
    repository: Repository, files: Files, environment: Environment, report: Report
) -> Repository:
    chapter = chapter_at(environment)

    def read(path: str) -> bytes | None:
        return files[path].data if path in files else None

    own = Report(
        [one for one in report.findings if one.path == chapter.file],
        [one for one in report.undecided if one.startswith(chapter.file)],
    )
    others = Report(
        [one for one in report.findings if one not in own.findings],
        [one for one in report.undecided if one not in own.undecided],
    )
    manifest, kustomization = read(chapter.file), read(chapter.kustomization)
    if manifest is None:
        file = SecretFile(there=False)
    elif own.findings or own.undecided:
        file = SecretFile(report=own)
    else:
        file = read_manifest(manifest, own)
    text = None if kustomization is None else kustomization.decode("utf-8-sig", "replace")
    tree = Tree(file, others, text)
    try:
        tree = replace(tree, rule=find_rule(read, chapter.file))
    except Undecided as error:
        tree = replace(tree, unruled=str(error))
    return replace(repository, tree=tree)
