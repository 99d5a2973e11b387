"""What `sopslab.lab` sees of a host. Operations decide by it.

On this machine, a look is a call of a function. On another host, it is a fact: the same function is
started there, and returns JSON. Its arguments are then part of a command, so none of them may be
secret.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints
from weakref import WeakKeyDictionary

from pyinfra import host, logger, state
from pyinfra.api import FactBase, StringCommand
from pyinfra.connectors.local import LocalConnector
from pyinfra.context import ctx_host
from typing_extensions import override

from sopslab.checks.causes import OURS
from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.tools.programs import Failed
from sopslab.model.results import Undecided
from sopslab.model.wire import decode, encode, name_of
from sopslab.provision.command import program

Order = ParamSpec("Order")
Seen = TypeVar("Seen")


@dataclass(frozen=True)
class _Kept:
    """What a function saw last, and its arguments then."""

    order: Mapping[str, Any]
    found: Any


# By host and by the function's name. `host` itself cannot be a key: it is a proxy for the host
# whose turn it is.
_kept: WeakKeyDictionary[Any, dict[str, _Kept]] = WeakKeyDictionary()


class Look(FactBase[str | None]):
    """
    Returns what a function of `sopslab.lab` sees, in JSON.

    + what: the function's name for the program on the host
    + order: the function's arguments, in JSON
    """

    @override
    def command(self, what: str, order: str) -> StringCommand:
        return program(what, order)

    @override
    def process(self, output: list[str]) -> str | None:
        return "\n".join(output)


def look(
    settings: Settings,
    function: Callable[Concatenate[Lab, Order], Seen],
    /,
    *_: Order.args,
    **order: Order.kwargs,
) -> Seen:
    """Return what a function of `sopslab.lab` sees of the present host, and keep it for `recall`.

    If the function fails, the host fails, as it does with a fact, and the messages of the function
    are in the log.
    """
    return _seen(function, {"lab": settings.for_machine, **order})


def look_at_machine(
    function: Callable[Order, Seen], /, *_: Order.args, **order: Order.kwargs
) -> Seen:
    """Do the same as `look`, for a function that takes no lab."""
    return _seen(function, order)


def recall(
    settings: Settings,
    function: Callable[Concatenate[Lab, Order], Seen],
    /,
    *_: Order.args,
    **order: Order.kwargs,
) -> Seen:
    """Return what a function saw last, if it had these arguments then. If it saw nothing, which may
    have changed since, or this was forgotten, look."""
    return _recalled(function, {"lab": settings.for_machine, **order})


def recall_of_machine(
    function: Callable[Order, Seen], /, *_: Order.args, **order: Order.kwargs
) -> Seen:
    """Do the same as `recall`, for a function that takes no lab."""
    return _recalled(function, order)


def forget(function: Callable[..., Any]) -> None:
    """Forget what a function saw, with whatever arguments, because this is about to change. The
    next `recall` looks again."""
    _kept.get(ctx_host.get(), {}).pop(name_of(function), None)


def _recalled(function: Callable[..., Seen], order: Mapping[str, Any]) -> Seen:
    kept = _kept.get(ctx_host.get(), {}).get(name_of(function))
    if kept is None or kept.order != order or not kept.found:
        return _seen(function, order)
    found: Seen = kept.found
    return found


def _seen(function: Callable[..., Seen], order: Mapping[str, Any]) -> Seen:
    local = isinstance(host.connector, LocalConnector)
    found = _here(function, order) if local else _there(function, order)
    _kept.setdefault(ctx_host.get(), {})[name_of(function)] = _Kept(order, found)
    return found


def give_up(sentence: str) -> None:
    """Make the present host fail with a sentence, as a fact would."""
    logger.error(f"{host.print_prefix}{OURS}: {sentence}")
    state.fail_hosts({host})


def _here(function: Callable[..., Seen], order: Mapping[str, Any]) -> Seen:
    try:
        return function(**order)
    except (LabError, Undecided) as error:
        give_up(str(error))
    except Failed as failure:
        logger.error(f"{host.print_prefix}{failure.words.decode('utf-8', 'replace')}")
        state.fail_hosts({host})
    found: Seen = nothing(get_type_hints(function)["return"])
    return found


def _there(function: Callable[..., Seen], order: Mapping[str, Any]) -> Seen:
    told = json.dumps(encode(order), ensure_ascii=False)
    said = host.get_fact(Look, what=name_of(function), order=told)
    kind = get_type_hints(function)["return"]
    # A host that is part of a test, or has failed, gives no answer.
    found: Seen = nothing(kind) if said is None else decode(kind, json.loads(said))
    return found


def nothing(kind: Any) -> Any:
    """Return what a look finds where there is nothing: None, an empty collection, or the defaults
    of a dataclass.

    + kind: the type of what the look returns
    """
    origin = get_origin(kind) or kind
    if origin in (Union, types.UnionType) and types.NoneType in get_args(kind):
        return None
    if origin is Mapping:
        return {}
    return origin()
