"""How the function of a step becomes a deploy of pyinfra."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, cast

from pyinfra.api import deploy

from sopslab.model.steps import Step

Arguments = ParamSpec("Arguments")


def step(which: Step) -> Callable[[Callable[Arguments, None]], Callable[Arguments, None]]:
    """Return the decorator that makes a function the deploy of a step."""
    return cast(
        Callable[[Callable[Arguments, None]], Callable[Arguments, None]], deploy(which.title)
    )
