"""A lab and its backup, made once for all tests of a module, and a root without a lab."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings, load_settings
from sopslab.layout import PROJECT
from tests.conftest import find_tool
from tests.unit.backups.backup_material import Made, back_up, fill

TOOLS = ("age", "age-keygen")


def _link_tools(root: Path) -> None:
    (root / "bin").mkdir(parents=True, exist_ok=True)
    for name in TOOLS:
        (root / "bin" / name).symlink_to(find_tool(name))


@pytest.fixture(scope="module")
def made(beginnings: Path) -> Made:
    """A lab, and the backup of it."""
    defaults = runpy.run_path(str(PROJECT / "group_data" / "all.py"))
    data: dict[str, Any] = {
        key: value for key, value in defaults.items() if key in Settings.model_fields
    }
    settings = load_settings({**data, "lab": "lab", "root": str(beginnings / "root")})
    _link_tools(Path(settings.root))
    fill(settings)
    return back_up(settings, beginnings)


@pytest.fixture
def elsewhere(lab: Callable[..., Settings]) -> Settings:
    """A root with age and without a lab."""
    settings = lab()
    _link_tools(Path(settings.root))
    return settings
