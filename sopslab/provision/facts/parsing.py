"""How a fact fails if it cannot parse what a tool has printed."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import TypeVar

from pyinfra.api.exceptions import FactProcessError

Fact = TypeVar("Fact")
Value = TypeVar("Value")
Process = Callable[[Fact, list[str]], Value]

_SURPRISES = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def parsing(process: Process[Fact, Value]) -> Process[Fact, Value]:
    """Make a fact's `process` raise FactProcessError if it cannot parse the output.

    For pyinfra, FactProcessError is a failure of this host. Any other exception ends the run on all
    hosts.
    """

    @wraps(process)
    def guarded(fact: Fact, output: list[str]) -> Value:
        try:
            return process(fact, output)
        except _SURPRISES as error:
            said = "\n".join(output)[:200]
            raise FactProcessError(
                f"{type(fact).__name__} was not understood ({error!r:.100}): {said}"
            ) from error

    return guarded
