"""Everything that the checks look at, looked at once, and side by side where it takes time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sopslab.checks.verification.cluster import Cluster, Flux, Identity, Keys
from sopslab.checks.verification.delivery import Live, Source
from sopslab.checks.verification.machine import GitServer, Tool
from sopslab.checks.verification.repository import Commit, History, Hooks, Push, SecretFile
from sopslab.config.environment import solo
from sopslab.config.places import INSTRUCTOR
from sopslab.config.settings import Settings
from sopslab.course.chapter import Chapter
from sopslab.lab.observe import keys, repository, server, versions
from sopslab.model.objects import Object, condition
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.lab.observe.cluster import Connection

# A Kustomization is reconciled every minute, and for a moment of that it is not Ready.
_SETTLING = 5.0


class Observer:
    """One look at a lab. What needs nothing else begins at once, in the background."""

    def __init__(self, settings: Settings, folder: Path, secret: str, wait: float = 0) -> None:
        self._settings = settings
        self._folder = folder
        self._secret = secret
        self._deadline = time.monotonic() + wait
        self._executor = ThreadPoolExecutor(max_workers=12)
        submit = self._executor.submit
        self._tools = submit(versions.look_at_tools, settings, self._executor)
        self._cluster = submit(self._look_at_cluster)
        self._public = keys.PublicKeys(settings)
        self._identities = {
            key: submit(keys.look_at_identity, settings, key, self._public)
            for key in (settings.learner.id, INSTRUCTOR)
        }
        self._file = submit(self._look_at_file)
        self._history = submit(lambda: repository.look_at_history(settings, self._work))
        self._hooks = submit(lambda: repository.look_at_hooks(settings, self._work))
        self._server = submit(server.look_at_server, settings)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _work(self) -> Path:
        return repository.find_work(self._settings, self._folder)

    @cached_property
    def work(self) -> Path | None:
        """The clone that is looked at, None without one."""
        try:
            return self._work
        except Undecided:
            return None

    @cached_property
    def chapter(self) -> Chapter:
        """The chapter, with commands that start where the learner is."""
        here = self.work is None or self.work == self._folder
        return Chapter(self._secret, self._settings.learner.id, "" if here else str(self.work))

    @property
    def head(self) -> str:
        """The commit of the clone. Raises Undecided without one."""
        head = self.commit().head
        if head is None:
            raise Undecided("nothing is committed yet")
        return head

    def tools(self) -> list[Tool]:
        """The lab's tools."""
        return self._tools.result()

    def server(self) -> GitServer:
        """The embedded Git server."""
        return self._server.result()

    def cluster(self) -> Cluster:
        """The cluster and its nodes."""
        return self._cluster.result()[0]

    @property
    def _connection(self) -> Connection:
        connection = self._cluster.result()[1]
        if connection is None:
            raise Undecided("the cluster cannot be asked")
        return connection

    def _look_at_cluster(self) -> tuple[Cluster, Connection | None]:
        # Importing kubernetes takes longer than all that is asked of the cluster.
        from sopslab.lab.observe.cluster import Connection, Unreachable

        try:
            connection = Connection(self._settings, solo(self._settings))
        except Unreachable as error:
            return Cluster(error.trouble), None
        return connection.look(), connection

    def flux(self) -> Flux:
        """Flux's controllers and objects."""
        return self._connection.flux()

    def keys(self) -> Keys:
        """The keys of the learner and the instructor, of the cluster, and of .sops.yaml."""
        return Keys(
            self._identity(self._settings.learner.id),
            self._identity(INSTRUCTOR),
            keys.look_at_cluster_key(self._connection.key(), self._public),
            keys.look_at_rule(self._work, self.chapter.file),
        )

    def _identity(self, key: str) -> Identity:
        return self._identities[key].result()

    def file(self) -> SecretFile:
        """The chapter's file."""
        return self._file.result()

    def _look_at_file(self) -> SecretFile:
        usable = self._identity(self._settings.learner.id).recipient is not None
        return repository.look_at_file(self._settings, self._work, self.chapter, may_open=usable)

    def kustomization(self) -> str | None:
        """The text of the environment's kustomization.yaml."""
        return repository.read_text(self._work / self.chapter.kustomization)

    def commit(self) -> Commit:
        """What is committed."""
        return self._commit

    @cached_property
    def _commit(self) -> Commit:
        return repository.look_at_commit(self._work, self.chapter)

    def push(self) -> Push:
        """What is pushed."""
        return repository.look_at_push(self._settings, self._work, self.head)

    def source(self) -> Source:
        """The learner's GitRepository, after the time it was given to read HEAD."""
        name, wanted = self.chapter.source, f"main@sha1:{self.head}"
        connection = self._connection

        def has_read(found: Object) -> bool:
            artifact = (found.get("status") or {}).get("artifact") or {}
            return artifact.get("revision") == wanted and not _is_at_work(found)

        found = self._settled(
            lambda: connection.repository(name),
            has_read,
            lambda seconds: connection.await_repository(name, has_read, seconds),
        )
        return Source(found, connection.has_artifact(found))

    def applied(self) -> Object | None:
        """The Kustomization, after the time it was given to apply HEAD."""
        wanted = f"main@sha1:{self.head}"
        connection = self._connection

        def has_applied(found: Object) -> bool:
            applied = (found.get("status") or {}).get("lastAppliedRevision")
            return applied == wanted and condition(found, "Ready").get("status") == "True"

        return self._settled(
            connection.kustomization,
            has_applied,
            lambda seconds: connection.await_kustomization(has_applied, seconds),
        )

    def _settled(
        self,
        look: Callable[[], Object | None],
        reached: Callable[[Object], bool],
        wait: Callable[[float], None],
    ) -> Object | None:
        """Return an object once it is as wanted, or the time to wait for that is up."""
        found = look()
        if found is None or reached(found):
            return found
        seconds = self._deadline - time.monotonic()
        if _is_at_work(found):
            seconds = max(seconds, _SETTLING)
        if seconds <= 0:
            return found
        wait(seconds)
        return look()

    def live(self) -> Live | None:
        """The Secret in the cluster, by hash."""
        found = self._connection.secret(self._secret)
        if found is None:
            return None
        labels = found["metadata"].get("labels") or {}
        return Live(labels, repository.digest_live(found.get("data") or {}))

    def history(self) -> History:
        """What the policy says of the history, and which incidents are on record."""
        return self._history.result()

    def hooks(self) -> Hooks:
        """The commit hooks."""
        return self._hooks.result()


def _is_at_work(found: Object) -> bool:
    return condition(found, "Ready").get("status") not in ("True", "False") or (
        condition(found, "Reconciling").get("status") == "True"
    )
