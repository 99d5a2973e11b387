"""Where the board listens: on loopback, at the same address as before, and over the network only
with the lab's TLS."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sopslab.config.job import free_port
from sopslab.config.places import Places
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act.certificates import certify_server, make_ca
from sopslab.web.address import Address, claim, lab_tls
from sopslab.web.link import Link, doorstep, keep_link, kept_link, new_token


@pytest.fixture
def claims() -> Iterator[Callable[..., Link]]:
    """Return a function that claims an address for a lab, gives it back, and returns the link."""
    held: list[socket.socket] = []

    def make(places: Places, *arguments: int, keep: bool = False, new: bool = False) -> Link:
        found = claim(places, *arguments, new=new)
        if keep:
            held.append(found.socket)
        else:
            found.socket.close()
        assert found.address.host == "127.0.0.1"
        assert found.socket.fileno() == -1 or found.socket.getsockname()[0] == "127.0.0.1"
        return Link(found.address.port, found.token)

    yield make
    for one in held:
        one.close()


def test_a_board_that_comes_back_is_where_it_was(
    settings: Settings, claims: Callable[..., Link]
) -> None:
    assert claims(settings) == claims(settings)


def test_another_lab_has_another_port_and_token(
    lab: Callable[..., Settings], claims: Callable[..., Link]
) -> None:
    one, other = claims(lab(lab="one"), keep=True), claims(lab(lab="other"), keep=True)

    assert one.port != other.port
    assert one.token != other.token


def test_a_new_link_has_a_new_token(settings: Settings, claims: Callable[..., Link]) -> None:
    before, now = claims(settings), claims(settings, new=True)

    assert now.token != before.token
    assert claims(settings).token == now.token


def test_the_port_that_is_asked_for_is_remembered(
    settings: Settings, claims: Callable[..., Link]
) -> None:
    port = free_port()
    assert claims(settings, port).port == port
    assert claims(settings).port == port


def test_a_remembered_port_that_is_taken_is_replaced_and_an_asked_one_refused(
    settings: Settings, claims: Callable[..., Link]
) -> None:
    before = claims(settings, keep=True)
    now = claims(settings)

    assert now.port != before.port
    assert now.token != before.token, "open tabs tell the old one to whoever has the port"
    with pytest.raises(LabError, match=f"cannot listen at 127.0.0.1:{before.port}"):
        claims(settings, before.port)


def test_the_token_is_256_bits_of_the_systems_randomness(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_urlsafe", lambda size: f"{8 * size} bits of the system's")
    assert new_token() == "256 bits of the system's"


def test_the_link_is_private_and_cannot_be_guessed(
    settings: Settings, claims: Callable[..., Link]
) -> None:
    link = claims(settings)

    # Six bits a character.
    assert len(link.token) == 43
    kept = Path(settings.class_dir, "board.json")
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"port": 0, "token": "' + "x" * 40 + '"}', '{"port":1,"token":""}']
)
def test_a_damaged_link_is_made_anew(
    settings: Settings, claims: Callable[..., Link], content: str
) -> None:
    claims(settings)
    Path(settings.class_dir, "board.json").write_text(content)

    assert kept_link(settings) is None
    assert len(claims(settings).token) >= 32


def test_a_browser_is_led_on_by_a_file_of_which_others_see_the_name(settings: Settings) -> None:
    keep_link(settings, Link(1, "x"))
    page = doorstep(settings, 'http://127.0.0.1:1/tok"en/')

    assert page.stat().st_mode & 0o777 == 0o600
    assert "tok" not in page.as_uri()
    assert 'content="0; url=http://127.0.0.1:1/tok&#34;en/"' in page.read_text()


@pytest.mark.parametrize(
    ("address", "hosts"),
    [
        (Address("127.0.0.1", 8000), {"127.0.0.1:8000", "localhost:8000"}),
        (Address("127.0.0.1", 80), {"127.0.0.1", "127.0.0.1:80", "localhost", "localhost:80"}),
        (Address("192.0.2.10", 443), {"192.0.2.10:443", "localhost:443"}),
    ],
)
def test_hosts_are_the_names_of_the_address(address: Address, hosts: set[str]) -> None:
    assert address.hosts == hosts


def test_a_url_says_the_scheme(lab: Callable[..., Settings]) -> None:
    settings = lab(git_bind="192.0.2.10")
    make_ca(settings.for_machine)
    certify_server(settings.for_machine)

    assert Address("192.0.2.10", 443, lab_tls(settings)).url("t") == "https://192.0.2.10:443/t/"
    assert Address("127.0.0.1", 8000).url("t") == "http://127.0.0.1:8000/t/"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "can be at git_bind only where that is an address of this machine"),
        ({"docker_host": "tcp://192.0.2.1:2375"}, "an address of this machine"),
        ({"git_bind": "192.0.2.10"}, "cannot be read (No such file or directory): `sopslab up`"),
    ],
)
def test_without_a_certificate_nothing_is_served_over_the_network(
    lab: Callable[..., Settings], changes: dict[str, str], said: str
) -> None:
    with pytest.raises(LabError) as refused:
        claim(lab(**changes), at_git_bind=True)

    assert said in str(refused.value)


def test_a_damaged_certificate_is_said(lab: Callable[..., Settings]) -> None:
    settings = lab(git_bind="192.0.2.10")
    path = Path(settings.git_dir, "tls", "server.pem")
    path.parent.mkdir(parents=True)
    path.write_text("no certificate")

    with pytest.raises(LabError, match="cannot be read"):
        lab_tls(settings)
