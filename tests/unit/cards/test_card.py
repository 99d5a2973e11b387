"""What a card says, whatever it looks like."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.cards.card import Card, fingerprint

from .conftest import FINGERPRINT, PASSWORD, Class


def commands(card: Card) -> list[str]:
    return [command for step in card.steps() for command in step.commands]


def test_a_card_names_what_belongs_to_the_seat(card: Callable[..., Card]) -> None:
    made = card(settings={"git_port": 9000, "lab": "demo"})
    assert made.clone_url == "http://127.0.0.1:9000/ada/lab.git"
    assert made.namespace == "ada-develop"
    assert made.lab == "demo"


def test_the_steps_clone_look_and_start_over(card: Callable[..., Card]) -> None:
    shown = commands(card())
    assert "git clone http://127.0.0.1:8418/ada/lab.git" in shown
    assert "less lab.md" in shown
    assert "install -m 600 kubeconfig ~/.kube/sops-lab-ada" in shown
    assert "export KUBECONFIG=~/.kube/sops-lab-ada" in shown
    assert "kubectl -n ada-develop get secret" in shown
    assert "git push origin HEAD:reset" in shown
    assert any("saved/" in step.text for step in card().steps())


def test_a_card_begins_with_what_each_system_needs(card: Callable[..., Card]) -> None:
    first = card().steps()[0]
    assert all(system in first.text for system in ("Linux:", "macOS:", "Windows:"))
    tools = ("git", "sops", "kubectl")
    assert [word for word in first.commands[0].split() if word in tools] == list(tools)


def test_without_a_ca_nothing_is_said_of_one(card: Callable[..., Card]) -> None:
    assert not [command for command in commands(card()) if "ca.crt" in command]


def test_with_a_ca_it_is_compared_before_git_is_told_to_trust_it(
    card: Callable[..., Card],
) -> None:
    shown = commands(card(ca=FINGERPRINT))
    compared = shown.index("openssl x509 -in ca.crt -noout -fingerprint -sha256")
    assert shown[compared + 1].startswith('git clone -c http.sslCAInfo="$PWD/ca.crt" http')


def test_no_command_holds_the_password(card: Callable[..., Card]) -> None:
    made = card(ca=FINGERPRINT)
    assert not [command for command in commands(made) if PASSWORD.format("ada") in command]
    assert PASSWORD.format("ada") not in repr(made)


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
