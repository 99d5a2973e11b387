"""The observer looks at everything that `verify`, `doctor` and `status` judge, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import chapter_at
from sopslab.checks.snapshot import (
    Access,
    GitServer,
    Hooks,
    Identity,
    Snapshot,
    Tool,
    known,
    unseen,
)
from sopslab.config.environment import Environment
from sopslab.config.places import INSTRUCTOR
from sopslab.course.chapter import SECRET, Chapter
from sopslab.lab.observe import asking, clone, keys, server, trees, versions
from sopslab.lab.observe.access import expired_access
from sopslab.lab.observe.cluster import Asked
from sopslab.lab.observe.environments import begun
from sopslab.lab.observe.everywhere import Questions, ask_everywhere
from sopslab.lab.observe.mains import Mains
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

T = TypeVar("T")
_PAUSE_S = 0.5


class Observer:
    """Looks at environments and at what they depend on: thoroughly at one, or at all seats of a
    class together.

    Looks that do not depend on others begin at once. What has not changed since the last look at a
    class is not looked at again.
    """

    def __init__(
        self,
        settings: Settings,
        executor: Executor,
        ask: Callable[[], Questions] | None = None,
    ) -> None:
        """
        + ask: starts the requests about all seats; without it, everything is requested every time
        """
        self._settings = settings
        self._ask = ask or partial(ask_everywhere, settings, executor)
        self._executor = executor
        self._public = keys.PublicKeys(settings)
        self._mains = Mains(settings, executor)

    # All seats of a class

    def seats(self, environments: Sequence[Environment]) -> list[Seen]:
        """Return a look at each seat, limited to what few processes can see."""
        settings = self._settings
        asked = self._ask()
        seen = _with_access(settings, [begun(settings, one) for one in environments])
        mains = self._mains.look(seen)
        found = self._everywhere([mains[one.environment.id].of(one) for one in seen], asked)
        return [
            Seen(
                one,
                mains[one.environment.id].start,
                asking.asked(settings, one.environment),
                asking.given(settings, one.environment).count,
            )
            for one in found
        ]

    def _everywhere(self, seen: Sequence[Snapshot], asked: Questions) -> list[Snapshot]:
        identities = self._identities([*(one.environment.key for one in seen), INSTRUCTOR])
        seen = [
            replace(
                one, identity=identities[one.environment.key], instructor=identities[INSTRUCTOR]
            )
            for one in seen
        ]
        try:
            return asked.answered(seen, self._public)
        except Undecided as reason:
            return [unseen(one, reason) for one in seen]

    def _identities(self, owners: Sequence[str]) -> Mapping[str, Identity | Undecided]:
        settings, public = self._settings, self._public
        contents = (read(keys.key_file(settings, owner)) for owner in owners)
        try:
            public.learn(file for file in contents if file is not None)
            return {owner: keys.look_at_identity(settings, owner, public) for owner in owners}
        except Undecided as reason:
            return dict.fromkeys(owners, reason)

    # One environment

    def outside(self, viewpoint: Viewpoint) -> Snapshot:
        """Return a snapshot of an environment as the Git server and Flux have it: its files are
        those of main."""
        looks = self._begin(viewpoint)
        main = self._mains.look_closely(looks.seen, self._opener(viewpoint, looks.own))
        return main.of(looks.together())

    def inside(self, viewpoint: Viewpoint) -> Snapshot:
        """Return a snapshot of an environment as its learner has it: its files are those of the
        clone."""
        looks = self._begin(viewpoint)
        settings, work, chapter = self._settings, viewpoint.work, viewpoint.chapter
        if not isinstance(work, Path):
            reason = work or Undecided("the clone is on the learner's machine")
            return replace(
                looks.together(),
                there=reason,
                branches=reason,
                tree=reason,
                commit=reason,
                push=reason,
                history=reason,
            )
        history = self._executor.submit(_seen, lambda: clone.look_at_history(settings, work))
        heads = self._executor.submit(_seen, lambda: clone.look_at_branches(settings, work))
        opener = self._opener(viewpoint, looks.own)
        commit = _seen(lambda: clone.look_at_commit(work, chapter))
        head = None if isinstance(commit, Undecided) else commit.head
        tree = _seen(lambda: trees.look_at_clone(settings, work, head, chapter, opener))
        branches = heads.result()
        return replace(
            looks.together(),
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
        """Wait until Flux has done what is wanted, or the time is up. Return the snapshot `seen`
        with what Flux has done by then.

        + reached: returns whether a snapshot is as wanted
        """
        cluster = Asked(self._settings, seen.environment)
        while not (reached(seen) or deadline.is_over):
            time.sleep(min(_PAUSE_S, deadline.left))
            seen = cluster.follow(seen)
        return cluster.look_at_delivered(seen, self._executor)

    def _begin(self, viewpoint: Viewpoint) -> _Looks:
        settings, public, executor = self._settings, self._public, self._executor
        cluster = Asked(settings, viewpoint.environment)
        bare = begun(settings, viewpoint.environment, viewpoint.chapter)
        (seen,) = _with_access(settings, [bare])

        def identity(owner: str) -> Future[Identity | Undecided]:
            return executor.submit(_seen, lambda: keys.look_at_identity(settings, owner, public))

        return _Looks(
            seen,
            executor.submit(cluster.look, seen, public, executor),
            executor.submit(_seen, lambda: versions.look_at_tools(settings, executor)),
            executor.submit(_seen, lambda: server.look_at_server(settings)),
            identity(viewpoint.environment.key),
            identity(INSTRUCTOR),
            executor.submit(_seen, lambda: _hooks(settings, viewpoint)),
        )

    def _opener(
        self, viewpoint: Viewpoint, own: Future[Identity | Undecided]
    ) -> trees.Opener | None:
        """Return what decrypts files, None without a usable key."""
        identity = own.result()
        if isinstance(identity, Undecided) or identity.recipient is None:
            return None
        return trees.Opener(self._settings, viewpoint.environment.key, self._executor)


@dataclass(frozen=True)
class Viewpoint:
    """An environment that is looked at thoroughly, and the chapter with its names there.

    `work` is the clone; None at a seat, whose clone is on the learner's machine.
    """

    environment: Environment
    work: Path | Undecided | None
    chapter: Chapter


def viewpoint_of(
    settings: Settings, environment: Environment, folder: Path, secret: str = SECRET
) -> Viewpoint:
    """Return the viewpoint of the person who asks about an environment.

    + folder: the folder that this person is in; it decides which clone is looked at, and how the
      proposed commands begin
    + secret: the name of the exercise's Secret
    """
    if environment.is_seat:
        return Viewpoint(environment, None, chapter_at(environment))
    found = _seen(lambda: clone.find_work(settings, folder))
    work = Path(settings.work_dir) if isinstance(found, Undecided) else found
    chapter = Chapter(secret, environment.source, "" if work == folder else str(work))
    return Viewpoint(environment, found, chapter)


@dataclass(frozen=True)
class _Looks:
    """Looks at one environment that are under way."""

    seen: Snapshot
    cluster: Future[Snapshot]
    tools: Future[list[Tool] | Undecided]
    server: Future[GitServer | Undecided]
    own: Future[Identity | Undecided]
    instructor: Future[Identity | Undecided]
    hooks: Future[Hooks | Undecided | None]

    def together(self) -> Snapshot:
        """Wait for all looks, and return what they have seen."""
        return replace(
            self.cluster.result(),
            tools=self.tools.result(),
            server=self.server.result(),
            identity=self.own.result(),
            instructor=self.instructor.result(),
            hooks=self.hooks.result(),
        )


def _with_access(settings: Settings, seen: Sequence[Snapshot]) -> list[Snapshot]:
    """Return snapshots with what the lab has made for the learners of seats."""
    expired = expired_access(settings, [one.environment.id for one in seen])
    return [
        replace(
            one, access=_access(settings, one.environment), expired=expired.get(one.environment.id)
        )
        for one in seen
    ]


def _access(settings: Settings, environment: Environment) -> Access | None:
    if not environment.is_seat:
        return None
    return Access(
        has_content(f"{settings.seat_dir(environment.id)}/kubeconfig"),
        has_content(f"{settings.account_dir(environment.id)}/password"),
    )


def _hooks(settings: Settings, viewpoint: Viewpoint) -> Hooks | None:
    work = known(viewpoint.work)
    return None if work is None else clone.look_at_hooks(settings, work)


def _seen(look: Callable[[], T]) -> T | Undecided:
    """Return what a look sees, or why it sees nothing."""
    try:
        return look()
    except Undecided as reason:
        return reason
