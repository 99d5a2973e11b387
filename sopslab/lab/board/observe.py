"""Everything that the board shows, looked at for all seats at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Executor, Future
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.checks.board.judge import judge
from sopslab.checks.board.seen import Seen
from sopslab.checks.board.steps import Row, chapter_at
from sopslab.checks.snapshot import Identity, Snapshot
from sopslab.config.environment import Environment, at_seat
from sopslab.config.places import INSTRUCTOR
from sopslab.lab.board.cluster import Everywhere, ask_everywhere
from sopslab.lab.board.repositories import Repositories, Repository
from sopslab.lab.observe.cluster import unseen
from sopslab.lab.observe.keys import PublicKeys, key_file, look_at_identity
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Seat, Settings


class Board:
    """The class at a glance, any number of times; what did not change is not worked out again."""

    def __init__(self, settings: Settings, executor: Executor) -> None:
        self._settings = settings
        self._executor = executor
        self._public = PublicKeys(settings)
        self._repositories = Repositories(settings, executor)

    def rows(self, seats: Sequence[Seat]) -> list[Row]:
        """Return how far each learner is now."""
        return [judge(seat, seen) for seat, seen in zip(seats, self._look(seats), strict=True)]

    def _look(self, seats: Sequence[Seat]) -> list[Seen]:
        environments = [at_seat(seat) for seat in seats]
        asked = ask_everywhere(self._settings, self._executor)
        repositories = self._repositories.look(environments)
        owners = [*(environment.key for environment in environments), INSTRUCTOR]
        self._public.learn(_contents(key_file(self._settings, owner) for owner in owners))
        identities = {
            owner: look_at_identity(self._settings, owner, self._public) for owner in owners
        }
        cluster = self._everywhere(asked)
        return [
            self._seat(environment, identities, repositories[environment.id], cluster)
            for environment in environments
        ]

    def _seat(
        self,
        environment: Environment,
        identities: Mapping[str, Identity],
        repository: Repository,
        cluster: Everywhere | Undecided,
    ) -> Seen:
        seen = Snapshot(
            environment,
            chapter_at(environment),
            f"{self._settings.git_base_cluster_url}/{environment.repository}.git",
            identity=identities[environment.key],
            instructor=identities[INSTRUCTOR],
            there=repository.there,
            branches=repository.branches,
            tree=repository.tree,
        )
        if isinstance(cluster, Undecided):
            seen, holder = unseen(seen, cluster), ""
        else:
            seen, holder = cluster.of(seen), cluster.holder
        return Seen(
            seen,
            _has(f"{self._settings.seat_dir(environment.id)}/kubeconfig"),
            _has(f"{self._settings.account_dir(environment.id)}/password"),
            repository.start,
            holder,
        )

    def _everywhere(self, asked: Sequence[Future[str]]) -> Everywhere | Undecided:
        try:
            return Everywhere([answer.result() for answer in asked], self._public)
        except Undecided as reason:
            return reason


def _has(path: str) -> bool:
    try:
        return Path(path).stat().st_size > 0
    except OSError:
        return False


def _contents(files: Iterable[Path]) -> list[bytes]:
    contents = []
    for file in files:
        try:
            contents.append(file.read_bytes())
        except OSError:
            # Whoever looks at it by itself says what is wrong with it.
            continue
    return contents
