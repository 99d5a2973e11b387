"""How the function of a step becomes a deploy of pyinfra."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, cast

from pyinfra import host, state
from pyinfra.api import deploy

from sopslab.files.events import assign
from sopslab.model.steps import Step

Arguments = ParamSpec("Arguments")


def step(which: Step) -> Callable[[Callable[Arguments, None]], Callable[Arguments, None]]:
    """Return the decorator that makes a function the deploy of a step, to which all operations
    belong that the function adds."""

    def made(function: Callable[Arguments, None]) -> Callable[Arguments, None]:
        deployed = cast(Callable[Arguments, None], deploy(which.value)(function))

        @wraps(function)
        def add(*args: Arguments.args, **kwargs: Arguments.kwargs) -> None:
            before = len(host.op_hash_order)
            deployed(*args, **kwargs)
            assign(which, [state.op_meta[added] for added in host.op_hash_order[before:]])

        return add

    return made
