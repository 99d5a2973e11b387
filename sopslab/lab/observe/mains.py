"""The branch main of learners' repositories on the Git server.

To read a repository takes three processes; one if only main is as it was at the last look, and none
if all references are. One run of the policy checks everything that is new.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from sopslab.checks.snapshot import NO_MAIN, NO_REPOSITORY, NOT_ASKED, Branches, Snapshot, Tree
from sopslab.config.environment import bare_repository
from sopslab.config.places import Places
from sopslab.lab.observe import trees
from sopslab.lab.observe.checkpoints import START
from sopslab.lab.observe.copies import bring
from sopslab.lab.observe.refs import Mark, mark_of
from sopslab.model.results import Undecided
from sopslab.policy.findings import Report
from sopslab.policy.sources import Repository as Git
from sopslab.policy.sources import SourceError

Openers = Mapping[str, trees.Opener | None]


@dataclass(frozen=True)
class Main:
    """What the Git server has of a learner's repository.

    `start` is the commit that the repository began with, None if it is not known. `mark` changes
    when a reference changes; None if such a mark cannot be made.
    """

    there: bool | Undecided
    branches: Branches | Undecided
    tree: Tree | Undecided
    start: str | None = None
    mark: Mark | None = None

    def of(self, seen: Snapshot) -> Snapshot:
        """Return the snapshot `seen` with this repository."""
        return replace(seen, there=self.there, branches=self.branches, tree=self.tree)


@dataclass(frozen=True)
class _Read:
    """A repository before the policy has checked its files; `files` is None if there are none to
    check."""

    main: Main
    files: trees.Files | None = None
    once_listed: frozenset[str] | Undecided = NOT_ASKED


class Mains:
    """Reads the repositories of a class any number of times. A repository that has not changed is
    not read again."""

    def __init__(self, places: Places, executor: Executor) -> None:
        self._places = places
        self._executor = executor
        self._known: dict[str, Main] = {}

    def look(self, seen: Sequence[Snapshot]) -> Mapping[str, Main]:
        """Return main of each environment, by the learner's id. No file is decrypted."""
        self._known = self._look(seen, self._known, None)
        return self._known

    def look_closely(self, seen: Snapshot, opener: trees.Opener | None) -> Main:
        """Return main of an environment, with what its history listed and what its files hold.

        + opener: decrypts files; without it, none is decrypted
        """
        return self._look([seen], {}, {seen.environment.id: opener})[seen.environment.id]

    def _look(
        self, seen: Sequence[Snapshot], known: Mapping[str, Main], openers: Openers | None
    ) -> dict[str, Main]:
        unknown = bring(self._places, [one.environment for one in seen])

        def read_one(one: Snapshot) -> _Read:
            if (reason := unknown.get(one.environment.id)) is not None:
                unseen = Undecided(reason)
                return _Read(Main(unseen, unseen, unseen))
            return self._read_one(one, known, openers)

        reading = self._executor.map(read_one, seen)
        read = {one.environment.id: each for one, each in zip(seen, reading, strict=True)}
        new = {who: one.files for who, one in read.items() if one.files is not None}
        reports = trees.judge(self._places, new)
        return {
            (who := one.environment.id): _judged(read[who], one, reports.get(who), openers)
            for one in seen
        }

    def _read_one(
        self, seen: Snapshot, known: Mapping[str, Main], openers: Openers | None
    ) -> _Read:
        if openers is not None:
            return self._read(seen, known, closely=True)
        try:
            return self._read(seen, known, closely=False)
        except Exception as error:
            reason = _unexpected(error)
            return _Read(Main(reason, reason, reason))

    def _read(self, seen: Snapshot, known: Mapping[str, Main], *, closely: bool) -> _Read:
        try:
            git = trees.bare(self._places, seen.environment)
        except Undecided as reason:
            return _Read(Main(reason, reason, reason))
        if git is None:
            gone = Undecided(NO_REPOSITORY)
            return _Read(Main(False, gone, gone))
        before = known.get(seen.environment.id)
        mark = mark_of(bare_repository(self._places, seen.environment))
        if before is not None and isinstance(before.tree, Tree) and mark and before.mark == mark:
            return _Read(before)
        try:
            branches, refs = trees.look_at_branches(git, START)
        except SourceError as error:
            unread = trees.unreadable(error)
            return _Read(Main(True, unread, unread))
        now = Main(True, branches, Undecided(NO_MAIN), refs.get(START), mark)
        if branches.main is None:
            return _Read(now)
        if before is not None and isinstance(before.tree, Tree) and before.branches == branches:
            return _Read(replace(now, tree=before.tree))
        return _read_main(git, branches.main, now, seen, closely=closely)


def _read_main(git: Git, main: str, now: Main, seen: Snapshot, *, closely: bool) -> _Read:
    try:
        files = trees.files_of(git, main)
        if not closely:
            return _Read(now, files)
        return _Read(now, files, trees.once_listed(git, main, seen.chapter.kustomization))
    except SourceError as error:
        return _Read(replace(now, tree=trees.unreadable(error)))


def _judged(read: _Read, seen: Snapshot, report: Report | None, openers: Openers | None) -> Main:
    if openers is not None:
        return _with_tree(read, seen, report, openers.get(seen.environment.id))
    try:
        return _with_tree(read, seen, report, None)
    except Exception as error:
        return replace(read.main, tree=_unexpected(error))


def _unexpected(error: Exception) -> Undecided:
    """Return that reading one of many repositories failed with an unexpected error, which must not
    hide the other repositories. `look_closely` lets the error itself through."""
    return Undecided(f"the repository cannot be looked at ({type(error).__name__})")


def _with_tree(
    read: _Read, seen: Snapshot, report: Report | None, opener: trees.Opener | None
) -> Main:
    branches = read.main.branches
    if read.files is None or report is None or isinstance(branches, Undecided):
        return read.main
    try:
        tree = trees.read_tree(
            branches.main,
            read.files,
            seen.chapter,
            report,
            once_listed=read.once_listed,
            opener=opener,
        )
    except Undecided as reason:
        return replace(read.main, tree=reason)
    return replace(read.main, tree=tree)
