"""What the unit tests share."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sopslab.config.settings import Settings


@pytest.fixture
def settings(lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a lab that a command finds, too."""
    found = lab()
    monkeypatch.setenv("SOPSLAB_ROOT", found.root)
    return found
