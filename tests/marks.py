"""How tests are told apart by what runs them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def soak(*values: Any) -> Any:
    """Return one set of parameters that is in `make soak` only."""
    return pytest.param(*values, marks=pytest.mark.soak)


def mostly_soak(cases: Iterable[Any], *usual: Any) -> list[Any]:
    """Return parameters of which only `usual` are in `make test`, and the others in `make soak`."""
    return [case if case in usual else soak(case) for case in cases]


def partly_soak(cases: Iterable[Any], long_tail: Container[Any]) -> list[Any]:
    """Return parameters of which only those of the `long_tail` are not in `make test`."""
    return [soak(case) if case in long_tail else case for case in cases]
