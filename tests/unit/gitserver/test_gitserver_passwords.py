"""Passwords for paper: their characters, their randomness, and the mistakes that typing may
make."""

from __future__ import annotations

import re
import secrets
import tarfile
from pathlib import Path

import bcrypt
import pytest

from sopslab.gitserver.accounts import Accounts
from sopslab.lab.act.accounts import Account, new_account
from sopslab.model.passwords import ALPHABET, essence, new_password
from tests.kept_labs import FOLDER
from tests.unit.gitserver.gitserver_material import header

# Characters that people confuse on paper, in upper or lower case.
ALIKE = ("0oOQD", "1iIlL", "2zZ", "5sS", "6bG", "8B", "9gq", "uUvV")
TYPED = "cdfh-jkmn-prtv-wxy3-479c"
# As releases before this form made passwords: `secrets.token_urlsafe(32)`.
OLD = "Kb0-O1lI_passphrase-of-ada-with_43characters"


def test_no_two_characters_look_alike_or_differ_by_case_only() -> None:
    assert len(set(ALPHABET.lower())) == len(ALPHABET)
    for group in ALIKE:
        assert len({sign.lower() for sign in group} & set(ALPHABET)) <= 1, group
    assert not set("aeiou") & set(ALPHABET)


def test_a_password_is_five_groups_of_four() -> None:
    made = [new_password() for _ in range(200)]
    assert all(re.fullmatch(rf"([{ALPHABET}]{{4}}-){{4}}[{ALPHABET}]{{4}}", one) for one in made)
    assert len(set(made)) == 200
    assert set("".join(made)) == {*ALPHABET, "-"}


def test_it_is_not_in_what_shows_an_account() -> None:
    account = new_account("ada")
    assert account.password not in repr(account)


def test_it_has_at_least_84_bits() -> None:
    assert len(ALPHABET) ** len(new_password().replace("-", "")) > 2**84


def test_its_chance_is_that_of_the_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "choice", lambda given: given[0])
    assert new_password() == "cccc-cccc-cccc-cccc-cccc"


@pytest.mark.parametrize(
    "typed",
    [
        TYPED,
        TYPED.upper(),
        TYPED.replace("-", ""),
        TYPED.replace("-", " "),
        TYPED.replace("-", "\N{EN DASH}"),
        TYPED.replace("-", "\N{NON-BREAKING HYPHEN}"),
        TYPED.replace("-", "\N{NO-BREAK SPACE}"),
        f" {TYPED}\n",
        "Cd-fhjk mnprtvw-xy3-479C",
    ],
)
def test_case_hyphens_and_blanks_do_not_count(typed: str) -> None:
    assert essence(typed.encode()) == b"cdfhjkmnprtvwxy3479c"


@pytest.mark.parametrize(
    "other",
    [
        b"",
        TYPED[:-1].encode(),
        f"{TYPED}c".encode(),
        TYPED.replace("c", "e").encode(),
        b"\xff" + TYPED.encode(),
        f"{TYPED}\0".encode(),
        OLD.encode(),
        b"a b-C",
    ],
)
def test_of_a_password_of_another_form_everything_counts(other: bytes) -> None:
    assert essence(other) == other


def users(tmp_path: Path, **hashes: str) -> Accounts:
    text = "".join(f"{user}:{hashed}\n" for user, hashed in hashes.items())
    (tmp_path / "htpasswd").write_text(text)
    return Accounts(tmp_path / "htpasswd")


def test_what_is_typed_from_a_card_logs_in(tmp_path: Path) -> None:
    account = new_account("ada")
    known = users(tmp_path, ada=account.hashed)
    for typed in (
        account.password,
        account.password.upper().replace("-", " "),
        account.password.replace("-", ""),
    ):
        assert known.user(header("ada", typed)) == "ada"
    assert known.user(header("ada", account.password[:-1])) is None
    assert known.user(header("ada", new_password())) is None


def test_a_password_that_an_older_version_made_still_logs_in_as_it_is_only(tmp_path: Path) -> None:
    hashed = bcrypt.hashpw(OLD.encode(), bcrypt.gensalt(rounds=5)).decode()
    known = users(tmp_path, ada=hashed)
    assert known.user(header("ada", OLD)) == "ada"
    for changed in (OLD.lower(), OLD.replace("-", ""), OLD.replace("-", " ")):
        assert known.user(header("ada", changed)) is None


def _git_server_accounts(kept: tarfile.TarFile) -> list[tarfile.TarInfo]:
    return [one for one in kept if one.name.startswith(("git/htpasswd", "git/credentials"))]


def test_every_account_of_a_lab_that_the_first_release_made_logs_in(tmp_path: Path) -> None:
    with tarfile.open(FOLDER / "v0.1.0.tar.xz") as kept:
        kept.extractall(tmp_path, _git_server_accounts(kept), filter="data")
    stored = tmp_path.glob("git/credentials/*/password")
    passwords = {path.parent.name: path.read_text() for path in stored}
    known = Accounts(tmp_path / "git" / "htpasswd")
    assert {"ada", "flux", "instructor", "learner"} <= set(passwords)
    for user, password in passwords.items():
        assert known.user(header(user, password)) == user


def test_what_is_moved_to_another_version_is_hashed_as_it_was(tmp_path: Path) -> None:
    known = users(tmp_path, ada=Account("ada", "ada", OLD).hashed)
    assert known.user(header("ada", OLD)) == "ada"
