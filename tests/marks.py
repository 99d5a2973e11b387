"""Marks on the parameters of tests that decide which `make` target runs them."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def soak(*values: Any) -> Any:
    """Return one set of parameters that only `make soak` runs."""
    return pytest.param(*values, marks=pytest.mark.soak)


def mostly_soak(cases: Iterable[Any], *usual: Any) -> list[Any]:
    """Return parameters of which `make test` runs only the `usual`, and `make soak` the others."""
    return [case if case in usual else soak(case) for case in cases]


def partly_soak(cases: Iterable[Any], long_tail: Container[Any]) -> list[Any]:
    """Return parameters of which `make test` runs all but those in the `long_tail`."""
    return [soak(case) if case in long_tail else case for case in cases]
