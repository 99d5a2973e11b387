"""With what is on a card, a learner gets from the Git server all else that is needed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.lab import run


def typed(classroom: Classroom, seat: str) -> str:
    """Return the password of a seat as somebody types it from paper."""
    kept = Path(classroom.lab.settings.account_dir(seat), "password").read_text()
    return kept.upper().replace("-", " ")


def fetch(
    classroom: Classroom, path: str, folder: Path, login: tuple[str, str] | None = None
) -> int:
    """Download what the Git server hands out at a path into a folder; return the HTTP status."""
    url = f"{classroom.lab.settings.git_base_url}/~/{path}"
    # curl reads its configuration on standard input: the password is in no argument.
    config = "" if login is None else f"user = {json.dumps(':'.join(login))}\n"
    done = run(
        ["curl", "--silent", "--show-error", "--noproxy", "*", "--config", "-",
         "--output", path or "page", "--write-out", "%{http_code}", url],
        cwd=folder, stdin=config,
    )  # fmt: skip
    return int(done.stdout)


@pytest.mark.parametrize("seat", SEATS)
def test_a_card_is_enough_to_get_into_the_cluster(
    classroom: Classroom, seat: str, tmp_path: Path
) -> None:
    login = (seat, typed(classroom, seat))
    assert fetch(classroom, "kubeconfig", tmp_path, login) == 200
    seen = run(
        ["kubectl", "--kubeconfig", str(tmp_path / "kubeconfig"), "get", "secret", "lab-canary"],
        env=classroom.lab.environment,
    )
    assert "lab-canary" in seen.stdout
    assert fetch(classroom, "", tmp_path, login) == 200
    page = (tmp_path / "page").read_text()
    assert f"{classroom.url(seat)}\n" in page
    assert not [other for other in SEATS if other != seat and f"{other}/lab.git" in page]


def test_nobody_gets_anything_without_the_password_of_a_seat(
    classroom: Classroom, tmp_path: Path
) -> None:
    flux = Path(classroom.lab.settings.account_dir("flux"), "password").read_text()
    refused: Mapping[tuple[str, str] | None, int] = {
        None: 401,
        ("ada", typed(classroom, "bob")): 401,
        ("nobody", typed(classroom, "bob")): 401,
        ("flux", flux): 404,
    }
    for login, status in refused.items():
        for path in ("", "kubeconfig"):
            assert fetch(classroom, path, tmp_path, login) == status, (login and login[0], path)
    assert fetch(classroom, "ca.crt", tmp_path) == 404, "a lab at a loopback address has no CA"


def test_cards_say_no_more_than_how_to_fetch_it(classroom: Classroom) -> None:
    made = json.loads(classroom.lab.sopslab("cards", "--json").stdout)
    assert [card["id"] for card in made["cards"]] == list(SEATS)
    page = Path(made["cards"][0]["html"]).read_text()
    assert f"curl -fsSO -u ada {classroom.lab.settings.git_base_url}/~/kubeconfig" in page
    again = json.loads(classroom.lab.sopslab("cards", "--json").stdout)
    assert again["changed"] == 0


def test_access_that_is_reissued_is_handed_out_and_the_old_is_not(
    classroom: Classroom, tmp_path: Path
) -> None:
    old = ("bob", typed(classroom, "bob"))
    assert fetch(classroom, "kubeconfig", tmp_path, old) == 200
    before = (tmp_path / "kubeconfig").read_bytes()
    classroom.lab.sopslab("reissue", "bob")
    assert fetch(classroom, "kubeconfig", tmp_path, old) == 401
    assert fetch(classroom, "kubeconfig", tmp_path, ("bob", typed(classroom, "bob"))) == 200
    after = (tmp_path / "kubeconfig").read_bytes()
    assert after != before
    assert after == classroom.kubeconfig("bob").read_bytes()
    assert classroom.pods_with(tmp_path / "kubeconfig").returncode == 0
    assert classroom.lab.changes(classroom.up()) == []
