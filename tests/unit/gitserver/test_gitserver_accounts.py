"""Who may log in, and how often a login costs a hash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sopslab.gitserver import accounts
from sopslab.gitserver.accounts import Accounts
from tests.unit.gitserver.gitserver_material import PASSWORD, header, write_accounts


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The passwords that were hashed, in order."""
    made, crypt = [], accounts._crypt

    def noted(password: bytes, salt: bytes) -> bytes:
        made.append(password)
        return crypt(password, salt)

    monkeypatch.setattr(accounts, "_crypt", noted)
    return made


def test_a_password_is_hashed_once_for_each_user_until_the_file_changes(
    tmp_path: Path, hashed: list[bytes]
) -> None:
    write_accounts(tmp_path, "ada", "bob")
    known = Accounts(tmp_path / "htpasswd")
    for _ in range(3):
        assert known.user(header("ada", PASSWORD)) == "ada"
    assert len(hashed) == 1
    assert known.user(header("bob", PASSWORD)) == "bob"
    assert len(hashed) == 2
    write_accounts(tmp_path, "ada")
    os.utime(tmp_path / "htpasswd", (1, 1))
    assert known.user(header("ada", PASSWORD)) == "ada"
    assert len(hashed) == 3
    assert known.user(header("bob", PASSWORD)) is None


def test_a_name_that_is_not_known_takes_the_time_of_one_that_is(
    tmp_path: Path, hashed: list[bytes]
) -> None:
    write_accounts(tmp_path, "ada")
    known = Accounts(tmp_path / "htpasswd")
    assert known.user(header("eve", PASSWORD)) is None
    assert known.user(header("eve", "wrong")) is None
    assert hashed == [PASSWORD.encode(), b"wrong"]


def test_a_wrong_password_is_never_taken_for_one_that_was_right(
    tmp_path: Path, hashed: list[bytes]
) -> None:
    write_accounts(tmp_path, "ada")
    known = Accounts(tmp_path / "htpasswd")
    for _ in range(2):
        assert known.user(header("ada", PASSWORD)) == "ada"
        assert known.user(header("ada", "wrong")) is None
    assert hashed == [PASSWORD.encode(), b"wrong", b"wrong"]


def test_a_password_does_not_end_at_a_null(tmp_path: Path) -> None:
    """In C it would end there, and the right password followed by anything would be right, too."""
    write_accounts(tmp_path, "ada")
    assert Accounts(tmp_path / "htpasswd").user(header("ada", f"{PASSWORD}\0x")) is None


def test_a_password_may_hold_what_ends_a_name(tmp_path: Path) -> None:
    write_accounts(tmp_path, "ada", password="a:b:")
    assert Accounts(tmp_path / "htpasswd").user(header("ada", "a:b:")) == "ada"


def test_a_login_is_written_as_http_allows(tmp_path: Path) -> None:
    write_accounts(tmp_path, "ada")
    right = header("ada", PASSWORD).removeprefix("Basic ")
    for given in (f"basic {right}", f"BASIC {right}", f"Basic   {right}", f"Basic {right} "):
        assert Accounts(tmp_path / "htpasswd").user(given) == "ada"


@pytest.mark.parametrize("strange", ["?", "\n", " ", "\xfc"])
def test_what_base64_does_not_know_is_not_passed_over(tmp_path: Path, strange: str) -> None:
    """If such characters were skipped, a password could be sent in many forms."""
    write_accounts(tmp_path, "ada")
    given = header("ada", PASSWORD)
    assert Accounts(tmp_path / "htpasswd").user(f"{given[:-9]}{strange}{given[-9:]}") is None


@pytest.mark.parametrize(
    "given",
    ["", "Basic", "Basic ?", "Bearer YWRhOng=", header("\xfc", "x"), header("eve", PASSWORD)],
)
def test_what_is_no_login_is_nobody(tmp_path: Path, given: str) -> None:
    write_accounts(tmp_path, "ada")
    assert Accounts(tmp_path / "htpasswd").user(given) is None


@pytest.mark.parametrize("more", ["\xfc:x", "ada:$2b$04$x:x"])
def test_a_file_that_the_lab_did_not_write_lets_nobody_in(tmp_path: Path, more: str) -> None:
    write_accounts(tmp_path, "ada")
    with (tmp_path / "htpasswd").open("a", encoding="utf-8") as file:
        file.write(f"{more}\n")
    assert Accounts(tmp_path / "htpasswd").user(header("ada", PASSWORD)) is None


def test_without_a_file_nobody_logs_in(tmp_path: Path) -> None:
    assert Accounts(tmp_path / "htpasswd").user(header("ada", PASSWORD)) is None
