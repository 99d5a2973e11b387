"""How tests are told apart by what runs them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def mostly_soak(cases: Iterable[Any], *usual: Any) -> list[Any]:
    """Return parameters of which only `usual` are in `make test`, and the others in `make soak`."""
    return [case if case in usual else pytest.param(case, marks=pytest.mark.soak) for case in cases]
