"""Whether a Git server answers, and whom the question trusts."""

from __future__ import annotations

import ssl
from collections.abc import Callable

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.observe.server import answer
from tests.listening import listening


@pytest.fixture
def trusted(monkeypatch: pytest.MonkeyPatch) -> list[str | None]:
    """The files with certificates of authorities that were read for a connection."""
    read: list[str | None] = []

    def context(cafile: str | None = None) -> ssl.SSLContext:
        read.append(cafile)
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(ssl, "create_default_context", context)
    return read


def test_without_tls_no_authority_is_asked_for(
    lab: Callable[..., Settings], trusted: list[str | None]
) -> None:
    with listening() as (url, calls):
        assert answer(lab().for_machine, f"{url}/") == 403
    assert len(calls) == 1 and trusted == []


def test_with_tls_the_labs_own_authority_is_trusted(
    lab: Callable[..., Settings], trusted: list[str | None]
) -> None:
    settings = lab(git_bind="192.0.2.10")
    # Nobody listens at this port.
    assert answer(settings.for_machine, "https://127.0.0.1:1/") is None
    assert trusted == [settings.git_ca]
