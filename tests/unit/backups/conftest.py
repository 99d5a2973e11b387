"""A lab and its backup, made once for all tests of a module, and a root without a lab."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Settings, load_settings
from tests.conftest import defaults, link_tools
from tests.unit.backups.backup_material import Made, back_up, fill

TOOLS = ("age", "age-keygen")


@pytest.fixture(scope="module")
def made(beginnings: Path) -> Made:
    """A lab, and the backup of it."""
    settings = load_settings({**defaults(), "lab": "lab", "root": str(beginnings / "root")})
    link_tools(Path(settings.root), *TOOLS)
    fill(settings)
    return back_up(settings, beginnings)


@pytest.fixture
def elsewhere(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    """A root with age and without a lab."""
    tools(*TOOLS)
    return lab()
