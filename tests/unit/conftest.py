"""What the unit tests share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from tests.texts import write_program


@pytest.fixture(scope="module")
def beginnings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the state that a module makes once and its tests begin with."""
    return tmp_path_factory.mktemp("beginnings")


@pytest.fixture
def settings(lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings of a lab that commands find as well, by SOPSLAB_ROOT."""
    found = lab()
    monkeypatch.setenv("SOPSLAB_ROOT", found.root)
    return found


@pytest.fixture
def answered_by(
    lab: Callable[..., Settings], tools: Callable[..., Path]
) -> Callable[..., Settings]:
    """Return a function that makes a lab with a script in kubectl's place, and with some real
    tools."""

    def make(kubectl: str, *names: str, **data: Any) -> Settings:
        settings = lab(**data)
        write_program(tools(*names) / "kubectl", kubectl)
        Path(settings.lab_dir).mkdir(parents=True)
        Path(settings.lab_kubeconfig).write_text("a: kubeconfig\n")
        return settings

    return make
