"""What the Git server hands out to learners: to each their own, repaired, and taken back."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.config.settings import Seat, Settings
from sopslab.gitserver.pages import PLACE
from sopslab.lab.act import access as act_access
from sopslab.lab.act import certificates, server
from sopslab.lab.act.handouts import hand_out, withdraw
from sopslab.lab.observe.handouts import handed_out, stale_handouts
from sopslab.provision.operations import access
from tests.fake import Applied

ADA, BOB = (
    Seat(id=seat, name=f"<b>{seat}</b>", email=f"{seat}@example.org", group=None)
    for seat in ("ada", "bob")
)
PAGES = {"ada": "page of ada", "bob": "page of bob"}
DIGESTS = {seat: hashlib.sha256(page.encode()).hexdigest() for seat, page in PAGES.items()}


def make(settings: Settings) -> Settings:
    """Make seats with access, as `up` does, and the Git server's folders."""
    for seat in PAGES:
        folder = Path(settings.seat_dir(seat))
        folder.mkdir(parents=True, mode=0o700)
        (folder / "kubeconfig").write_text(f"kubeconfig of {seat}\n")
        (folder / "client.key").write_text("a key")
    Path(settings.git_dir).mkdir(parents=True)
    Path(settings.git_dir, "htpasswd").write_text("")
    server.prepare(settings.for_machine, group())
    return settings


def group() -> int:
    return 60941 if os.geteuid() == 0 else os.getegid()


@pytest.fixture
def settings(lab: Callable[..., Settings]) -> Settings:
    return make(lab())


@pytest.fixture
def networked(lab: Callable[..., Settings]) -> Settings:
    settings = make(lab(git_bind="192.0.2.10"))
    certificates.make_ca(settings.for_machine)
    return settings


def found(settings: Settings) -> dict[str, str]:
    top = Path(settings.handouts_dir)
    return {
        str(path.relative_to(top)): path.read_text() for path in top.rglob("*") if path.is_file()
    }


def test_everybody_is_handed_their_own_and_nothing_beside_it(settings: Settings) -> None:
    assert stale_handouts(settings.for_machine, DIGESTS) == ["ada", "bob"]
    hand_out(settings.for_machine, PAGES)
    assert found(settings) == {
        "ada/page.html": "page of ada",
        "ada/kubeconfig": "kubeconfig of ada\n",
        "bob/page.html": "page of bob",
        "bob/kubeconfig": "kubeconfig of bob\n",
    }
    assert stale_handouts(settings.for_machine, DIGESTS) == []


@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_only_the_lab_and_its_server_can_read_it(settings: Settings, umask: int) -> None:
    before = os.umask(umask)
    try:
        hand_out(settings.for_machine, PAGES)
    finally:
        os.umask(before)
    top = Path(settings.handouts_dir)
    for path in (top, *top.rglob("*")):
        about = path.stat()
        assert stat.S_IMODE(about.st_mode) & 0o777 == (0o750 if path.is_dir() else 0o640), path
        assert about.st_gid == group(), path


def link(path: Path) -> None:
    """Replace a file by a link to it."""
    moved = path.rename(path.parent.parent / "moved")
    path.symlink_to(moved)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "no page": lambda folder: (folder / "page.html").unlink(),
    "another page": lambda folder: (folder / "page.html").write_text("another"),
    "no kubeconfig": lambda folder: (folder / "kubeconfig").unlink(),
    "a link": lambda folder: link(folder / "kubeconfig"),
    "open to others": lambda folder: (folder / "kubeconfig").chmod(0o644),
    "unreadable for the server": lambda folder: (folder / "kubeconfig").chmod(0o600),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_what_is_not_as_it_should_be_is_put_right(settings: Settings, damage: str) -> None:
    hand_out(settings.for_machine, PAGES)
    DAMAGE[damage](Path(settings.handout_dir("ada")))
    assert stale_handouts(settings.for_machine, DIGESTS) == ["ada"]
    hand_out(settings.for_machine, {"ada": PAGES["ada"]})
    assert stale_handouts(settings.for_machine, DIGESTS) == []


def test_a_kubeconfig_that_was_issued_anew_is_handed_out(settings: Settings) -> None:
    hand_out(settings.for_machine, PAGES)
    Path(settings.seat_dir("bob"), "kubeconfig").write_text("another\n")
    assert stale_handouts(settings.for_machine, DIGESTS) == ["bob"]


def test_a_seat_without_access_is_handed_nothing_and_holds_up_nobody(settings: Settings) -> None:
    Path(settings.seat_dir("ada"), "kubeconfig").unlink()
    assert stale_handouts(settings.for_machine, DIGESTS) == ["bob"]
    hand_out(settings.for_machine, PAGES)
    assert "bob/kubeconfig" in found(settings)
    assert "ada/kubeconfig" not in found(settings)
    failed = Path(settings.class_dir, "failed", "ada").read_text()
    assert failed.startswith("its hand-outs could not be written: ")


def test_the_ca_is_handed_out_without_anything_beside_its_certificate(networked: Settings) -> None:
    ca = Path(networked.tls_dir, "ca.crt")
    certificate = ca.read_text()
    ca.write_text(f"Subject: CN=lab\n{certificate}{Path(networked.tls_dir, 'ca.key').read_text()}")
    hand_out(networked.for_machine, PAGES)
    assert found(networked)["ca.crt"] == certificate
    assert stale_handouts(networked.for_machine, DIGESTS) == []
    Path(networked.handouts_dir, "ca.crt").write_text("another")
    assert stale_handouts(networked.for_machine, DIGESTS) == ["ada", "bob"]


def test_over_loopback_there_is_no_ca(settings: Settings) -> None:
    hand_out(settings.for_machine, PAGES)
    assert "ca.crt" not in found(settings)


def test_what_was_handed_out_is_taken_back(networked: Settings) -> None:
    hand_out(networked.for_machine, PAGES)
    assert handed_out(networked.for_machine) == ["ada", "bob", "ca.crt"]
    withdraw(networked.for_machine)
    assert handed_out(networked.for_machine) == []
    assert Path(networked.seat_dir("ada"), "kubeconfig").exists()


def test_access_that_is_retired_is_handed_out_no_more(settings: Settings) -> None:
    hand_out(settings.for_machine, PAGES)
    act_access.retire(settings.for_machine, {"ada": "5f0c9a31e27b44"})
    assert handed_out(settings.for_machine) == ["bob"]


@pytest.mark.parametrize("where", ["settings", "networked"])
def test_the_operation_hands_out_once_and_then_changes_nothing(
    where: str, request: pytest.FixtureRequest
) -> None:
    settings: Settings = request.getfixturevalue(where)
    arguments = {"settings": settings, "roster": (ADA, BOB)}
    assert Applied(access.handouts, **arguments).changed
    assert not Applied(access.handouts, **arguments).changed
    page = found(settings)["ada/page.html"]
    assert page.count(PLACE) == 1
    assert "&lt;b&gt;ada" in page
    assert f"curl -fsSO {'--cacert ca.crt ' if where == 'networked' else ''}-u ada" in page
    assert ("/~/ca.crt" in page) is (where == "networked")
    assert Applied(access.withdrawal, settings=settings).changed
    assert not Applied(access.withdrawal, settings=settings).changed
    assert found(settings) == {}
