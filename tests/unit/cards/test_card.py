"""The information on a card, whatever its layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.cards.card import Card, fingerprint
from sopslab.cards.page import own_page, sheet

from .conftest import FINGERPRINT, OLD, TYPED, Class


def commands(card: Card) -> list[str]:
    return [command for step in card.steps() for command in step.commands]


def test_a_card_names_what_belongs_to_the_seat(card: Callable[..., Card]) -> None:
    made = card(settings={"git_port": 9000, "lab": "demo"})
    assert made.clone_url == "http://127.0.0.1:9000/ada/lab.git"
    assert made.page == "http://127.0.0.1:9000/~/"
    assert made.namespace == "ada-develop"
    assert made.lab == "demo"


def test_a_card_says_until_when_the_kubeconfig_is_good(card: Callable[..., Card]) -> None:
    def told(**more: str) -> str:
        return " ".join(step.text for step in card(**more).steps())

    assert " and is good until 2026-12-30 10:00+00:00; then fetch it again. " in told(
        good_until="2026-12-30 10:00+00:00"
    )
    assert "good until" not in told()


def test_a_card_says_when_the_access_ends(card: Callable[..., Card]) -> None:
    made = card(expires="2026-12-01T18:00+01:00")
    assert made.ends == "2026-12-01 18:00+01:00"
    for page in (sheet("A class", [made]), own_page(made, "")):
        assert "2026-12-01 18:00+01:00" in page
    for page in (sheet("A class", [card()]), own_page(card(), "")):
        assert "ntil" not in page.partition("<header>")[2].partition("</header>")[0]
        assert "<th>Until</th>" not in page


def test_the_steps_fetch_look_clone_ask_and_start_over(card: Callable[..., Card]) -> None:
    assert commands(card())[1:] == [
        "mkdir -m 700 sops-lab && cd sops-lab",
        "curl -fsSO -u ada http://127.0.0.1:8418/~/kubeconfig",
        'export KUBECONFIG="$PWD/kubeconfig"',
        "kubectl -n ada-develop get secret",
        "git clone http://127.0.0.1:8418/ada/lab.git",
        "cd lab && less lab.md",
        "git push origin HEAD:hint",
        "git push origin HEAD:help",
        "git push origin HEAD:reset",
        "git fetch && git reset --hard origin/main",
    ]
    assert any("saved/" in step.text for step in card().steps())


def test_a_card_begins_with_what_each_system_needs(card: Callable[..., Card]) -> None:
    first = card().steps()[0]
    assert all(system in first.text for system in ("Linux:", "macOS:", "Windows:"))
    assert {"git", "sops", "kubectl"} < set(first.commands[0].split())


@pytest.mark.parametrize("ca", [None, FINGERPRINT])
def test_a_card_begins_with_every_program_that_it_uses(
    card: Callable[..., Card], ca: str | None
) -> None:
    checked, *later = commands(card(ca=ca))
    parts = [part for command in later for part in command.split(" && ")]
    used = {part.split()[0] for part in parts} - {"cd", "export", "less", "mkdir"}
    assert set(checked.split()) == {"type", "sops", *used}


def test_without_a_ca_nothing_is_said_of_one(card: Callable[..., Card]) -> None:
    assert not [command for command in commands(card()) if "ca.crt" in command]
    assert card().fingerprint is None


def test_with_a_ca_it_is_compared_before_a_password_is_typed(card: Callable[..., Card]) -> None:
    shown = commands(card(ca=FINGERPRINT, settings={"git_bind": "192.0.2.10"}))
    assert shown[1:7] == [
        "mkdir -m 700 sops-lab && cd sops-lab",
        "curl -fsSkO https://192.0.2.10:8418/~/ca.crt",
        "openssl x509 -in ca.crt -noout -fingerprint -sha256",
        "curl -fsSO --cacert ca.crt -u ada https://192.0.2.10:8418/~/kubeconfig",
        'export KUBECONFIG="$PWD/kubeconfig"',
        "kubectl -n ada-develop get secret",
    ]
    assert shown[7].startswith('git clone -c http.sslCAInfo="$PWD/ca.crt" https://')


def test_the_fingerprint_is_told_in_two_lines_between_two_bytes(card: Callable[..., Card]) -> None:
    first, second = card(ca=FINGERPRINT).fingerprint or ("", "")
    assert first + second == FINGERPRINT
    assert first.endswith(":") and len(first) - len(second) <= 2


def test_no_command_holds_the_password(card: Callable[..., Card]) -> None:
    made = card(ca=FINGERPRINT)
    assert not [command for command in commands(made) if TYPED in command]
    assert TYPED not in repr(made)


def test_only_of_passwords_that_are_for_paper_case_and_hyphens_do_not_count(
    card: Callable[..., Card],
) -> None:
    for password, forgiving in ((TYPED, True), (TYPED.upper(), True), (OLD, False)):
        access = card(password=password).access
        assert access and access.forgiving is forgiving


def test_the_fingerprint_is_the_one_that_openssl_prints(classroom: Class) -> None:
    printed = classroom.issue_ca()
    text = Path(classroom.path("tls/ca.crt")).read_text()
    assert fingerprint(text) == printed
    assert fingerprint(f"Subject: CN=class\n{text}\n\n") == printed


@pytest.mark.parametrize("damage", ["empty", "twice", "cut", "no base64"])
def test_what_is_not_exactly_one_certificate_has_no_fingerprint(
    classroom: Class, damage: str
) -> None:
    classroom.issue_ca()
    text = classroom.path("tls/ca.crt").read_text()
    damaged = {
        "empty": "",
        "twice": text * 2,
        "cut": text[: len(text) // 2],
        "no base64": "-----BEGIN CERTIFICATE-----\na\n-----END CERTIFICATE-----\n",
    }
    with pytest.raises(ValueError, match=r"certificate|PEM"):
        fingerprint(damaged[damage])
