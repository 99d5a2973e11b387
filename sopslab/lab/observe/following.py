"""What the cluster has of all seats, for a program that looks again and again, such as the board.

Each round begins with a list of everything. From then on, watches report changes of Flux's objects,
so that nothing is asked while nothing changes. The Secrets of a seat are listed again when its
Kustomization changes, because Flux reports there whatever it applies.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Hashable
from concurrent.futures import Executor, Future
from functools import partial
from types import TracebackType
from typing import Any, Self

from sopslab.config.naming import seat_namespace
from sopslab.config.places import Places
from sopslab.lab.observe.everywhere import (
    Live,
    Questions,
    ask_for_holder,
    keys_of_seats,
    live_secrets,
    live_secrets_of_seats,
    of_seats,
)
from sopslab.lab.observe.followed import Followed
from sopslab.lab.observe.objects import Objects, together
from sopslab.lab.observe.scopes import Scope, scopes_of_seats
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.layout import SEAT_LABEL
from sopslab.model.objects import Object

ROUND_S = 60.0
"""The length of a round in seconds. Changes that Flux does not make are seen in the next round."""
AGAIN_S = 10.0
"""The least time in seconds between the beginnings of two rounds if the first one has failed, or
its watches have ended."""

_FOLLOWED = ("GitRepository", "Kustomization")


class Following:
    """The cluster of a class, asked any number of times."""

    def __init__(
        self, places: Places, executor: Executor, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """
        + clock: in seconds
        """
        self._places, self._executor, self._clock = places, executor, clock
        self._round: _Round | None = None
        self._rounds, self._told, self._telling = 0, 0, threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._round is not None:
            self._round.end()

    @property
    def mark(self) -> Hashable:
        """A value that changes as soon as there is something new to see or to ask for."""
        # A round that becomes due counts at once, so the value does not change when it begins.
        return self._rounds + self._is_due(), self._told

    def ask(self) -> Questions:
        """Return requests for everything; what is known already is not asked for again."""
        if self._round is None or self._is_due():
            if self._round is not None:
                self._round.end()
            self._round = _Round(self._places, self._executor, self._clock(), self._tell)
            self._rounds += 1
        return self._round.ask()

    def _tell(self) -> None:
        with self._telling:
            self._told += 1

    def _is_due(self) -> bool:
        if self._round is None:
            return True
        age = self._clock() - self._round.begun
        return age >= (AGAIN_S if self._round.is_over else ROUND_S)


class _Round:
    """One list of everything, and the changes since."""

    def __init__(
        self, places: Places, executor: Executor, begun: float, tell: Callable[[], None]
    ) -> None:
        """
        + tell: is called after each change, in another thread
        """
        self._places, self._executor, self._tell = places, executor, tell
        self.begun = begun
        self._kubectl = kubectl = Kubectl(places)
        self._changed: set[str] = set()  # namespaces whose Secrets may not be what they were
        self._followed = [
            executor.submit(Followed, kubectl, kind, self._take) for kind in _FOLLOWED
        ]
        self._namespaces = executor.submit(of_seats, kubectl, ("Namespace",))
        self._keys = executor.submit(keys_of_seats, kubectl)
        self._live = executor.submit(live_secrets_of_seats, places, kubectl)

    @property
    def is_over(self) -> bool:
        """Whether a list has failed, or a watch has ended."""
        asked: list[Future[Any]] = [self._namespaces, self._keys, self._live, *self._followed]
        if any(one.done() and one.exception() is not None for one in asked):
            return True
        return any(one.done() and one.result().is_over for one in self._followed)

    def ask(self) -> Questions:
        """Return requests for everything, of which only the Secrets that may have changed are
        listed again."""
        changed = set()
        while self._changed:
            changed.add(self._changed.pop())
        if changed:
            self._live = self._executor.submit(self._renewed, self._live, changed)
        holder = partial(ask_for_holder, self._places, self._kubectl)
        return Questions(self._objects, self._keys.result, self._live.result, holder)

    def end(self) -> None:
        """End the watches."""
        for one in self._followed:
            if one.exception() is None:
                one.result().end()

    def _objects(self) -> Objects:
        followed = (one.result().objects for one in self._followed)
        return together([self._namespaces.result(), *followed])

    def _renewed(self, known: Future[Live], namespaces: set[str]) -> Live:
        """Return the known Secrets, updated for some namespaces. If there are several, and the
        Secrets of all seats are a single list, list them all again, which takes hardly longer."""
        if len(namespaces) > 1:
            scopes = scopes_of_seats(self._places, self._kubectl)
            if len(scopes) == 1:
                return live_secrets(self._kubectl, scopes)
        found = live_secrets(self._kubectl, map(Scope, sorted(namespaces)))
        return {**known.result(), **{name: found.get(name, {}) for name in namespaces}}

    def _take(self, found: Object) -> None:
        seat = found["metadata"].get("labels", {}).get(SEAT_LABEL)
        if found["kind"] == "Kustomization" and seat:
            self._changed.add(seat_namespace(seat))
        self._tell()
