"""What the tests of the board share."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Settings
from tests.unit.board.class_material import Class, make_class


@pytest.fixture
def classroom(
    lab: Callable[..., Settings], tools: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Class]:
    """Make a class on disk: ids, and names for some of them."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "SOPS_")):
            monkeypatch.delenv(name)

    def make(ids: list[str], **names: str) -> Class:
        tools("sops", "age-keygen", "gitleaks")
        return make_class(lab(), ids, names)

    return make
