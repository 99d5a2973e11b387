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


def test_a_login_is_taken_to_no_other_server(lab: Callable[..., Settings]) -> None:
    place, login = lab().for_machine, ("ada", "not-a-secret")
    with listening() as (other, theirs), listening(f"{other}/lab.git") as (url, ours):
        assert answer(place, f"{url}/", login) == 403
    assert "Authorization: Basic" in ours[0]
    assert len(theirs) == 1 and "Authorization" not in theirs[0]


def test_a_login_goes_with_a_redirect_within_its_server(lab: Callable[..., Settings]) -> None:
    with listening("/lab.git") as (url, calls):
        assert answer(lab().for_machine, f"{url}/", ("ada", "not-a-secret")) == 302
    assert len(calls) > 1
    assert all("Authorization: Basic" in call for call in calls)
