"""How facts that parse behave when a tool prints what it never should."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar, TypeVar, get_type_hints

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from sopslab.model.wire import decode

Fact = TypeVar("Fact")
Value = TypeVar("Value")
Answered = TypeVar("Answered")
Process = Callable[[Fact, list[str]], Value]

_SURPRISES = (AttributeError, LookupError, RecursionError, TypeError, ValueError)


def parsing(process: Process[Fact, Value]) -> Process[Fact, Value]:
    """Have a fact's `process` raise FactProcessError for whatever it cannot parse.

    pyinfra takes that for a failure of this host; any other exception ends the run of all.
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


class LabFact(FactBase[Answered]):
    """A fact that a function of `sopslab.lab` looks at: `look`, which says all of it. Its command
    is the order to that function, by `sopslab.provision.command.looking`."""

    look: ClassVar[Callable[..., Any]]

    @override
    @parsing
    def process(self, output: list[str]) -> Answered:
        kind = get_type_hints(type(self).look)["return"]
        found: Answered = decode(kind, json.loads("\n".join(output)))
        return found
