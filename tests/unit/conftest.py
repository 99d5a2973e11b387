"""What the unit tests share."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.gitserver.server import tls_context
from sopslab.lab.act.certificates import certify_server, make_ca
from sopslab.lab.observe.certificates import server_file
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
def contexts(lab: Callable[..., Settings]) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The TLS contexts of a lab's server and of a client that trusts the lab's CA."""
    settings = lab(git_bind="127.0.0.2", git_port=8443)
    places = replace(settings.for_machine, git_bind="192.0.2.10")
    make_ca(places)
    certify_server(places)
    trusting = ssl.create_default_context(cafile=f"{places.tls_dir}/ca.crt")
    return tls_context(Path(server_file(places))), trusting


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
