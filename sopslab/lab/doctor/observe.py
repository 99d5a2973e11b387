"""One look at an environment and at what it depends on; what needs nothing else begins at once."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

from sopslab.checks.board.steps import chapter_at
from sopslab.checks.doctor.seen import Objects, Repository, Seen
from sopslab.checks.verification.cluster import Cluster
from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.course.chapter import SECRET, Chapter
from sopslab.lab.doctor.observation.repository import look_at_repository
from sopslab.lab.observe import keys, server, versions
from sopslab.lab.observe.repository import find_work
from sopslab.lab.tools.programs import clean_environment
from sopslab.model.results import Undecided


def observe(settings: Settings, environment: Environment, folder: Path, executor: Executor) -> Seen:
    """Return what is seen of an environment.

    + folder: where the one is who asks, for the commands that are proposed
    """
    public = keys.PublicKeys(settings)
    cluster = executor.submit(_look_at_cluster, settings, environment, public, executor)
    answer = executor.submit(server.answer, settings, f"{settings.git_base_url}/")
    command = executor.submit(
        versions.version_of, [f"{settings.bin_dir}/flux", "--version"], clean_environment(settings)
    )
    identity = keys.look_at_identity(settings, environment.key, public)
    chapter = _chapter(settings, environment, folder)
    repository = _look_at_repository(
        settings, environment, chapter, executor, may_open=identity.recipient is not None
    )
    health, objects = cluster.result()
    return Seen(
        environment,
        chapter,
        f"{settings.git_base_cluster_url}/{environment.repository}.git",
        identity,
        health,
        objects,
        repository,
        answer.result(),
        command.result() or "",
    )


def _chapter(settings: Settings, environment: Environment, folder: Path) -> Chapter:
    if environment.is_seat:
        return chapter_at(environment)
    try:
        work = find_work(settings, folder)
    except Undecided:
        work = Path(settings.work_dir)
    return Chapter(SECRET, environment.source, "" if work == folder else str(work))


def _look_at_repository(
    settings: Settings,
    environment: Environment,
    chapter: Chapter,
    executor: Executor,
    *,
    may_open: bool,
) -> Repository | Undecided:
    try:
        return look_at_repository(settings, environment, chapter, executor, may_open=may_open)
    except Undecided as reason:
        return reason


def _look_at_cluster(
    settings: Settings, environment: Environment, public: keys.PublicKeys, executor: Executor
) -> tuple[Cluster, Objects | Undecided]:
    # Importing kubernetes takes longer than all that is asked of the cluster.
    from sopslab.lab.doctor.observation.cluster import look_at_objects
    from sopslab.lab.observe.cluster import Connection, Unreachable

    unseen = Undecided("the cluster cannot be asked")
    try:
        connection = Connection(settings, environment)
    except Unreachable as error:
        return Cluster(error.trouble), unseen
    health = connection.look()
    if health.trouble is not None:
        return health, unseen
    try:
        return health, look_at_objects(settings, environment, connection, public, executor)
    except Undecided as reason:
        return health, reason
