"""The observer of one environment: everything that `verify` and `doctor` judge, looked at side by
side."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sopslab.checks.board.steps import chapter_at
from sopslab.checks.snapshot import (
    NO_MAIN,
    NO_REPOSITORY,
    GitServer,
    Hooks,
    Identity,
    Snapshot,
    Tool,
    Tree,
    known,
)
from sopslab.config.environment import Environment
from sopslab.config.places import INSTRUCTOR
from sopslab.course.chapter import SECRET, Chapter
from sopslab.lab.observe import clone, keys, server, trees, versions
from sopslab.lab.observe.cluster import Asked
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.results import Undecided
from sopslab.policy.sources import SourceError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

T = TypeVar("T")
_PAUSE_S = 0.5


class Observer:
    """Looks at one environment and at what it depends on. What needs nothing else begins at
    once."""

    def __init__(
        self,
        settings: Settings,
        environment: Environment,
        folder: Path,
        executor: Executor,
        secret: str = SECRET,
    ) -> None:
        """
        + folder: where the one is who asks: the clone there, and the commands that are proposed
        + secret: the Secret of the exercise
        """
        self._settings = settings
        self._environment = environment
        self._executor = executor
        self._cluster = Asked(settings, environment)
        self._work = self._find_work(folder)
        self.chapter = self._chapter(folder, secret)

    def _find_work(self, folder: Path) -> Path | Undecided | None:
        """Return the clone; None at a seat, where it is on the learner's machine."""
        if self._environment.is_seat:
            return None
        return _seen(lambda: clone.find_work(self._settings, folder))

    @property
    def work(self) -> Path | None:
        """The clone that is looked at, None without one."""
        return None if isinstance(self._work, Undecided) else self._work

    def _chapter(self, folder: Path, secret: str) -> Chapter:
        if self._environment.is_seat:
            return chapter_at(self._environment)
        work = self.work or Path(self._settings.work_dir)
        return Chapter(secret, self._environment.source, "" if work == folder else str(work))

    def outside(self) -> Snapshot:
        """Return a look at the environment as the Git server and Flux have it: main is judged."""
        begun = self._begin()
        opener = self._opener(begun.own)
        try:
            git = trees.bare(self._settings, self._environment)
            if git is None:
                reason = Undecided(NO_REPOSITORY)
                return replace(begun.seen(), there=False, branches=reason, tree=reason)
            branches, _ = trees.look_at_branches(git)
        except SourceError as error:
            return _unread(begun.seen(), trees.unreadable(error))
        except Undecided as reason:
            return _unread(begun.seen(), reason)
        tree: Tree | Undecided = Undecided(NO_MAIN)
        if (main := branches.main) is not None:
            tree = _seen(
                lambda: trees.look_at_main(self._settings, git, main, self.chapter, opener)
            )
        return replace(begun.seen(), there=True, branches=branches, tree=tree)

    def inside(self) -> Snapshot:
        """Return a look at the environment as the learner has it: the clone is judged."""
        begun = self._begin()
        settings, work, chapter = self._settings, self._work, self.chapter
        if not isinstance(work, Path):
            reason = work or Undecided("the clone is on the learner's machine")
            return replace(
                _unread(begun.seen(), reason), commit=reason, push=reason, history=reason
            )
        history = self._executor.submit(_seen, lambda: clone.look_at_history(settings, work))
        heads = self._executor.submit(_seen, lambda: clone.look_at_branches(settings, work))
        opener = self._opener(begun.own)
        commit = _seen(lambda: clone.look_at_commit(work, chapter))
        head = None if isinstance(commit, Undecided) else commit.head
        tree = _seen(lambda: trees.look_at_clone(settings, work, head, chapter, opener))
        branches = heads.result()
        return replace(
            begun.seen(),
            there=branches if isinstance(branches, Undecided) else True,
            branches=branches,
            tree=tree,
            commit=commit,
            push=_seen(lambda: clone.look_at_push(work, head, known(branches).main)),
            history=history.result(),
        )

    def await_flux(
        self, seen: Snapshot, reached: Callable[[Snapshot], bool], deadline: Deadline
    ) -> Snapshot:
        """Return a look at what Flux has done, once it is as wanted or the time for that is up.

        + seen: the look so far, of which the rest is kept
        """
        while not (reached(seen) or deadline.is_over):
            time.sleep(min(_PAUSE_S, deadline.left))
            seen = self._cluster.follow(seen)
        return self._cluster.look_at_delivered(seen, self._executor)

    def _begin(self) -> _Begun:
        settings, environment = self._settings, self._environment
        submit, public = self._executor.submit, keys.PublicKeys(settings)
        url = f"{settings.git_base_cluster_url}/{environment.repository}.git"
        empty = Snapshot(environment, self.chapter, url)
        return _Begun(
            submit(self._cluster.look, empty, public, self._executor),
            submit(_seen, lambda: versions.look_at_tools(settings, self._executor)),
            submit(server.look_at_server, settings),
            submit(_seen, lambda: keys.look_at_identity(settings, environment.key, public)),
            submit(_seen, lambda: keys.look_at_identity(settings, INSTRUCTOR, public)),
            submit(_seen, self._hooks),
        )

    def _hooks(self) -> Hooks | None:
        work = known(self._work)
        return None if work is None else clone.look_at_hooks(self._settings, work)

    def _opener(self, own: Future[Identity | Undecided]) -> trees.Opener | None:
        """Return what opens encrypted files, None without a key that can be used."""
        identity = own.result()
        if isinstance(identity, Undecided) or identity.recipient is None:
            return None
        return trees.Opener(self._settings, self._environment.key, self._executor)


@dataclass(frozen=True)
class _Begun:
    """Looks that are under way."""

    cluster: Future[Snapshot]
    tools: Future[list[Tool] | Undecided]
    server: Future[GitServer]
    own: Future[Identity | Undecided]
    instructor: Future[Identity | Undecided]
    hooks: Future[Hooks | Undecided | None]

    def seen(self) -> Snapshot:
        """Return what has been seen, once all of it has."""
        return replace(
            self.cluster.result(),
            tools=self.tools.result(),
            server=self.server.result(),
            identity=self.own.result(),
            instructor=self.instructor.result(),
            hooks=self.hooks.result(),
        )


def _seen(look: Callable[[], T]) -> T | Undecided:
    """Return what is seen, or why it is not."""
    try:
        return look()
    except Undecided as reason:
        return reason


def _unread(seen: Snapshot, reason: Undecided) -> Snapshot:
    return replace(seen, there=reason, branches=reason, tree=reason)
