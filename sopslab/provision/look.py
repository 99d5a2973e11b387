"""What `sopslab.lab` sees of a host, for operations to decide by.

On this machine a look is a call. Elsewhere it is a fact: the same function, started there, whose
answer comes back as JSON. Its order is an argument then, so nothing in it is secret.
"""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Mapping
from typing import Any, Concatenate, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from pyinfra import host, logger, state
from pyinfra.api import FactBase, StringCommand
from pyinfra.connectors.local import LocalConnector
from typing_extensions import override

from sopslab.checks.causes import OURS
from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.tools.programs import Failed
from sopslab.model.results import Undecided
from sopslab.model.wire import decode, encode
from sopslab.provision.command import name_of, program

Order = ParamSpec("Order")
Seen = TypeVar("Seen")


class Look(FactBase[str | None]):
    """
    Returns in JSON what a function of `sopslab.lab` sees.

    + what: its name, as the program takes it
    + order: what it is given, in JSON
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
    """Return what a function of `sopslab.lab` sees of the present host.

    Where it fails, the host has failed, as it has with a fact; its words are in the log.
    """
    if isinstance(host.connector, LocalConnector):
        return _here(settings, function, order)
    told = json.dumps(encode({"lab": settings.for_machine, **order}), ensure_ascii=False)
    said = host.get_fact(Look, what=name_of(function), order=told)
    kind = get_type_hints(function)["return"]
    # A host of a test, or one that has failed, says nothing.
    found: Seen = nothing(kind) if said is None else decode(kind, json.loads(said))
    return found


def _here(settings: Settings, function: Callable[..., Seen], order: Mapping[str, Any]) -> Seen:
    try:
        return function(settings.for_machine, **order)
    except (LabError, Undecided) as error:
        logger.error(f"{host.print_prefix}{OURS}: {error}")
    except Failed as failure:
        logger.error(f"{host.print_prefix}{failure.words.decode('utf-8', 'replace')}")
    state.fail_hosts({host})
    found: Seen = nothing(get_type_hints(function)["return"])
    return found


def nothing(kind: Any) -> Any:
    """Return what is seen where there is nothing: an empty collection, None, or the defaults."""
    origin = get_origin(kind) or kind
    if origin in (Union, types.UnionType) and types.NoneType in get_args(kind):
        return None
    if origin is Mapping:
        return {}
    return origin()
