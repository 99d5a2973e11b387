"""What was seen of a host, kept until something is about to change: pyinfra asks a fact anew each
time, and a look costs more than what is made of it."""

from __future__ import annotations

from typing import Any, TypeVar
from weakref import WeakKeyDictionary

from pyinfra import host
from pyinfra.api import FactBase
from pyinfra.context import ctx_host

Value = TypeVar("Value")

# `host` itself is a proxy of whichever host's turn it is.
_seen: WeakKeyDictionary[Any, dict[type, Any]] = WeakKeyDictionary()


def look(fact: type[FactBase[Value]], **arguments: Any) -> Value:
    """Return a fact as it is now, and keep it. The first operation of a step looks."""
    found = host.get_fact(fact, **arguments)
    _seen.setdefault(ctx_host.get(), {})[fact] = found
    return found


def recall(fact: type[FactBase[Value]], **arguments: Any) -> Value:
    """Return a fact as it was when it was looked at; where it was not, or was forgotten, look."""
    kept = _seen.get(ctx_host.get(), {})
    if fact in kept:
        known: Value = kept[fact]
        return known
    return look(fact, **arguments)


def forget(fact: type[FactBase[Any]]) -> None:
    """Have a fact looked at anew, because what it is about is going to change."""
    _seen.get(ctx_host.get(), {}).pop(fact, None)
