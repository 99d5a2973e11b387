"""The learners' repositories, as the Git server keeps them on this machine.

Three processes for each of them, one where its main is known already, and one run of the policy
over all that is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sopslab.checks.board.steps import chapter_at
from sopslab.checks.snapshot import NO_MAIN, NO_REPOSITORY, NOT_ASKED, Branches, Tree
from sopslab.config.environment import Environment
from sopslab.lab.observe import trees
from sopslab.model.results import Undecided
from sopslab.policy.findings import Report
from sopslab.policy.sources import Repository as Git
from sopslab.policy.sources import SourceError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

START = "refs/lab/start"


@dataclass(frozen=True)
class Repository:
    """The learner's repository on the Git server.

    `start` is the commit that it began with, None where that is not known.
    """

    there: bool
    branches: Branches | Undecided
    tree: Tree | Undecided
    start: str | None = None


@dataclass(frozen=True)
class _Read:
    """A repository before the policy has seen its files; they are None if that is not needed."""

    repository: Repository
    files: trees.Files | None = None


class Repositories:
    """All repositories of a class, any number of times; what did not change is not read again."""

    def __init__(self, settings: Settings, executor: Executor) -> None:
        self._settings = settings
        self._executor = executor
        self._known: dict[str, Repository] = {}

    def look(self, environments: Sequence[Environment]) -> Mapping[str, Repository]:
        """Return the repository of each environment, by the id of its learner."""
        read = dict(
            zip(
                [environment.id for environment in environments],
                self._executor.map(self._read, environments),
                strict=True,
            )
        )
        new = {seat: one.files for seat, one in read.items() if one.files is not None}
        reports = trees.judge(self._settings, new)
        self._known = {
            one.id: _with_tree(read[one.id], one, reports.get(one.id)) for one in environments
        }
        return self._known

    def _read(self, environment: Environment) -> _Read:
        gone = Undecided(NO_REPOSITORY)
        try:
            git = trees.bare(self._settings, environment)
            if git is None:
                return _Read(Repository(there=False, branches=gone, tree=gone))
            return self._read_main(git, environment)
        except Undecided as reason:
            return _Read(Repository(there=True, branches=reason, tree=reason))

    def _read_main(self, git: Git, environment: Environment) -> _Read:
        try:
            branches, refs = trees.look_at_branches(git, START)
        except SourceError as error:
            raise trees.unreadable(error) from None
        empty = Undecided(NO_MAIN)
        now = Repository(True, branches, empty, refs.get(START))
        if branches.main is None:
            return _Read(now)
        known = self._known.get(environment.id)
        if known is not None and isinstance(known.tree, Tree) and known.branches == branches:
            return _Read(replace(now, tree=known.tree))
        try:
            return _Read(now, trees.files_of(git, branches.main))
        except SourceError as error:
            return _Read(replace(now, tree=trees.unreadable(error)))


def _with_tree(read: _Read, environment: Environment, report: Report | None) -> Repository:
    branches = read.repository.branches
    if read.files is None or report is None or isinstance(branches, Undecided):
        return read.repository
    tree = trees.read_tree(
        branches.main, read.files, chapter_at(environment), report, once_listed=NOT_ASKED
    )
    return replace(read.repository, tree=tree)
