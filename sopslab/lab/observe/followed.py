"""Objects of one kind in all seats: listed once, then kept up to date by a watch."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from sopslab.lab.observe.everywhere import PATIENCE_S
from sopslab.lab.observe.objects import Objects, path_of, refused, whole_list
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.programs import Failed, Stream
from sopslab.layout import SEAT_LABEL
from sopslab.model.objects import Object, condition, is_busy, is_deleted

LONGEST_S = 90
"""The API server ends a watch after this many seconds, in case its client has not ended it."""

_SEATS = f"labelSelector={SEAT_LABEL.replace('/', '%2F')}"


class Followed:
    """The objects of a kind, followed from the moment they were listed. Once the watch has ended,
    they stay as they were last reported."""

    def __init__(self, kubectl: Kubectl, kind: str, changed: Callable[[Object], None]) -> None:
        """List the objects and begin to follow them. Raises Undecided if the cluster cannot be
        asked.

        + kind: one of Flux's kinds
        + changed: is called, in another thread, with each object that is new or deleted, whose
          specification has changed, or for which Flux reports another outcome
        """
        self._kind, self._changed = kind, changed
        self._items: dict[tuple[str, str], Object] = {}
        self._told: dict[tuple[str, str], Object] = {}
        self._stream: Stream | None = None
        path = path_of(kind)
        said = whole_list(kubectl, f"{path}?{_SEATS}", patience=PATIENCE_S)
        if said is None:
            return
        for one in said["items"]:
            self._items[_place(one)] = one
        self._told = self._items.copy()
        since = f"resourceVersion={said['metadata']['resourceVersion']}"
        watch = f"{path}?{_SEATS}&watch=true&timeoutSeconds={LONGEST_S}&{since}"
        try:
            self._stream = kubectl.follow(watch, self._take)
        except Failed as failure:
            raise refused(failure) from None

    @property
    def is_over(self) -> bool:
        """Whether the watch has ended, or never began."""
        return self._stream is None or self._stream.is_over

    @property
    def objects(self) -> Objects:
        """The objects as they are now."""
        unknown = () if self._stream is not None else (self._kind,)
        return Objects(self._items.copy().values(), (self._kind,), unknown)

    def end(self) -> None:
        """End the watch."""
        if self._stream is not None:
            self._stream.end()

    def _take(self, line: bytes) -> bool:
        event = _event(line)
        if event is None:
            return False
        change, found = event
        place = _place(found)
        if change == "DELETED":
            self._items.pop(place, None)
            self._told.pop(place, None)
            self._changed(found)
            return True
        self._items[place] = found
        if _is_news(self._told.get(place), found):
            self._told[place] = found
            self._changed(found)
        return True


def _is_news(told: Object | None, found: Object) -> bool:
    """Return whether an object is new, or its specification or the outcome that Flux reports has
    changed.

    Flux reconciles every object again every few minutes. Each time it first reports that it is at
    work, and then the same outcome as before, which is no news.
    """
    if told is None or _order(told) != _order(found):
        return True
    return not is_busy(found) and _outcome(told) != _outcome(found)


def _order(found: Object) -> tuple[object, ...]:
    return found["metadata"].get("generation"), is_deleted(found)


def _outcome(found: Object) -> tuple[object, ...]:
    status = found.get("status") or {}
    ready = condition(found, "Ready")
    return (
        status.get("observedGeneration"),
        status.get("lastAppliedRevision"),
        status.get("lastAttemptedRevision"),
        (status.get("artifact") or {}).get("revision"),
        *(ready.get(part) for part in ("status", "reason", "message")),
    )


def _event(line: bytes) -> tuple[str, Object] | None:
    """Return the type and the object of an event of a watch; None if the line is not an event about
    an object, but an error, for example, or incomplete."""
    try:
        event: Any = json.loads(line)
        change = event["type"]
        _place(event["object"])
    except (ValueError, KeyError, TypeError):
        return None
    return (change, event["object"]) if change in ("ADDED", "MODIFIED", "DELETED") else None


def _place(found: Object) -> tuple[str, str]:
    metadata = found["metadata"]
    return str(metadata["namespace"]), str(metadata["name"])
