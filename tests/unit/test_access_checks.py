"""The checks of learners' access, given what was seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from sopslab.checks.access import (
    CURRENT,
    MISSING,
    Credential,
    SeenAccess,
    access_state,
    terms_of,
    user_of,
)
from sopslab.checks.kubeconfigs import Standing, by_certificate, by_token, kubeconfig, standing
from sopslab.lab.act.client_certificates import why_unsigned
from sopslab.lab.observe.users import still_unbound
from sopslab.model.access import Issuer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ONE, TWO = "1" * 14, "2" * 14
SUBJECT = frozenset({f"CN=sops-lab:ada:{TWO}", "O=sops-lab:learners"})
ACCOUNT = f"system:serviceaccount:lab-ada-sys:learner-{TWO}"
CERTIFICATE = Credential(SUBJECT, NOW, NOW + timedelta(days=30))
GOOD = SeenAccess(
    is_open=False,
    issuer=Issuer.CERTIFICATES,
    generation=TWO,
    credential=CERTIFICATE,
    flaw=None,
    kubeconfig=Standing.SAME,
)
TOKEN = Credential(frozenset({ACCOUNT}), NOW, NOW + timedelta(hours=24))
GOOD_TOKEN = replace(GOOD, issuer=Issuer.TOKENS, credential=TOKEN)


def of(*subject: str) -> Credential:
    return replace(CERTIFICATE, owner=frozenset(subject))


def test_access_that_is_as_it_should_be_is_current_and_none_is_missing() -> None:
    assert access_state("ada", GOOD, NOW) == CURRENT
    assert access_state("ada", GOOD_TOKEN, NOW) == CURRENT
    assert access_state("ada", None, NOW) == MISSING


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"is_open": True}, "others could read it"),
        ({"generation": None}, "its generation cannot be read"),
        ({"credential": None}, "its certificate cannot be read"),
        ({"generation": ONE}, "its certificate is of another generation"),
        ({"credential": of("CN=x", "O=sops-lab:learners")}, "of another generation"),
        ({"credential": of(*SUBJECT, "OU=x")}, "of another generation"),
        ({"credential": of(f"CN=sops-lab:ada:{TWO}", "O=masters")}, "of another generation"),
        ({"credential": of(ACCOUNT)}, "its certificate is of another generation"),
        (
            {
                "credential": replace(
                    CERTIFICATE, begin=NOW - timedelta(days=27), end=NOW + timedelta(days=3)
                )
            },
            "its certificate ends in less than 3 days",
        ),
        ({"flaw": "its key does not fit its certificate"}, "its key does not fit"),
        ({"kubeconfig": Standing.NOWHERE}, "there is no cluster that it leads to"),
        ({"kubeconfig": Standing.ELSEWHERE}, "it leads to another cluster"),
        ({"kubeconfig": Standing.OTHER}, "it is not what was written"),
    ],
)
def test_what_is_wrong_with_access_is_its_state(changed: dict[str, Any], fault: str) -> None:
    state = access_state("ada", replace(GOOD, **changed), NOW)
    assert state.startswith("stale: ")
    assert fault in state


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"credential": None}, "its token cannot be read"),
        ({"generation": ONE}, "its token is of another generation"),
        ({"issuer": Issuer.CERTIFICATES}, "its certificate is of another generation"),
        ({"flaw": "its ServiceAccount is gone"}, "its ServiceAccount is gone"),
    ],
)
def test_what_is_wrong_with_a_token_is_said_of_a_token(changed: dict[str, Any], fault: str) -> None:
    assert access_state("ada", replace(GOOD_TOKEN, **changed), NOW) == f"stale: {fault}"


@pytest.mark.parametrize(
    ("lifetime", "last", "fault"),
    [
        (timedelta(days=30), timedelta(days=3), "3 days"),
        (timedelta(days=9), timedelta(days=3), "3 days"),
        (timedelta(hours=24), timedelta(hours=8), "8 h 0 min"),
        (timedelta(hours=1), timedelta(minutes=20), "20 min"),
    ],
)
def test_access_is_renewed_before_its_last_three_days_or_its_last_third(
    lifetime: timedelta, last: timedelta, fault: str
) -> None:
    """Access that a cluster grants for only a day must not be renewed by every run."""
    seen = replace(GOOD_TOKEN, credential=replace(TOKEN, end=NOW + lifetime))
    renewal = NOW + lifetime - last
    assert access_state("ada", seen, NOW) == CURRENT
    assert access_state("ada", seen, renewal - timedelta(seconds=1)) == CURRENT
    assert access_state("ada", seen, renewal) == f"stale: its token ends in less than {fault}"


HELD = {
    "ada": replace(TOKEN, end=NOW + timedelta(hours=25)),
    "bob": TOKEN,
    "eve": replace(TOKEN, end=NOW + timedelta(hours=26)),
}
RENEW = "run `sopslab up`, and have learners fetch their kubeconfigs again"


@pytest.mark.parametrize(
    ("passed", "held", "ended", "said"),
    [
        (
            0,
            HELD,
            (),
            "good until 2026-11-25 12:00+00:00 (bob first); from 2026-11-25 04:00+00:00 on,"
            " `sopslab up` renews them",
        ),
        (15.9, {"bob": TOKEN}, (), "good until 2026-11-25 12:00+00:00; from 2026-11-25 04:00"),
        (16, {"bob": TOKEN}, (), f"good until 2026-11-25 12:00+00:00: {RENEW}"),
        (24, HELD, ("bob",), f"the kubeconfigs of bob have ended: {RENEW}"),
        (26, HELD, ("ada", "bob", "eve"), f"the kubeconfigs of ada, bob, eve have ended: {RENEW}"),
    ],
)
def test_who_looks_at_a_class_learns_how_long_access_lasts(
    passed: float, held: dict[str, Credential], ended: tuple[str, ...], said: str
) -> None:
    terms = terms_of(held, NOW + timedelta(hours=passed))
    assert terms is not None
    assert terms.ended == ended
    assert terms.said.startswith(said)


def test_nothing_is_said_of_access_that_nobody_has() -> None:
    assert terms_of({}, NOW) is None


def test_the_access_of_somebody_else_is_of_another_generation() -> None:
    assert "of another generation" in access_state("bob", GOOD, NOW)
    assert "of another generation" in access_state("bob", GOOD_TOKEN, NOW)


def test_each_issuer_knows_a_learner_by_another_user() -> None:
    assert user_of(Issuer.CERTIFICATES, "ada", TWO) == f"sops-lab:ada:{TWO}"
    assert user_of(Issuer.TOKENS, "ada", TWO) == ACCOUNT


PROOF = by_certificate(b"CRT\n", b"KEY\n")
CLUSTER = {
    "server": "https://127.0.0.1:6443",
    "certificate-authority-data": "Q0E=",
    "insecure-skip-tls-verify": False,
    "tls-server-name": 'a"b\\ü',
}
# Existing labs have this text. Another form would make all their kubeconfigs stale.
WRITTEN = """apiVersion: v1
kind: Config
clusters:
- name: "sops-lab-lab"
  cluster:
    server: "https://127.0.0.1:6443"
    certificate-authority-data: "Q0E="
    insecure-skip-tls-verify: false
    tls-server-name: "a\\"b\\\\ü"
contexts:
- name: "007"
  context:
    cluster: "sops-lab-lab"
    namespace: "007-develop"
    user: "007"
current-context: "007"
users:
- name: "007"
  user:
    client-certificate-data: Q1JUCg==
    client-key-data: S0VZCg==
"""


def test_a_kubeconfig_is_written_as_it_always_was() -> None:
    assert kubeconfig("lab", CLUSTER, "007", PROOF) == WRITTEN


def test_a_token_takes_the_place_of_a_certificate_in_a_kubeconfig() -> None:
    certificate, _, _ = WRITTEN.partition("    client-certificate-data:")
    assert kubeconfig("lab", CLUSTER, "007", by_token("a.b-c_d")) == (
        f'{certificate}    token: "a.b-c_d"\n'
    )


@pytest.mark.parametrize(
    ("found", "cluster", "expected"),
    [
        (WRITTEN, CLUSTER, Standing.SAME),
        (WRITTEN, None, Standing.NOWHERE),
        (WRITTEN + "# mine\n", CLUSTER, Standing.OTHER),
        (WRITTEN.replace("S0VZCg==", "S0VZCh=="), CLUSTER, Standing.OTHER),
        (WRITTEN.replace("6443", "6444"), CLUSTER, Standing.ELSEWHERE),
        (WRITTEN, {**CLUSTER, "server": "https://127.0.0.1:6444"}, Standing.ELSEWHERE),
        ("", CLUSTER, Standing.ELSEWHERE),
    ],
)
def test_a_kubeconfig_is_compared_with_what_would_be_written(
    found: str, cluster: dict[str, Any] | None, expected: Standing
) -> None:
    wanted = kubeconfig("lab", cluster, "007", PROOF)
    assert standing(found.encode(), wanted, "lab", cluster) is expected


def test_what_is_no_text_is_not_what_was_written() -> None:
    assert standing(b"\0\xff", WRITTEN, "lab", CLUSTER) is Standing.OTHER


def request(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "sops-lab-ada-1"}, "status": status}


@pytest.mark.parametrize(
    ("found", "against", "sentence"),
    [
        (None, [], "the cluster did not take its request for a certificate"),
        (
            None,
            ["Error from server (Forbidden): sops-lab-ada-1 is forbidden"],
            "the cluster did not take its request for a certificate (the lab may not do that in"
            " this cluster)",
        ),
        (
            request(conditions=[{"type": "Approved"}, {"type": "Failed"}]),
            [],
            "its certificate was not signed: Failed",
        ),
        (
            request(conditions=[{"type": "Approved"}]),
            [],
            "its certificate was not signed within 30 s: kube-controller-manager does that once the"
            " request is approved",
        ),
    ],
)
def test_why_there_is_no_certificate_is_told_in_a_sentence(
    found: dict[str, Any] | None, against: list[str], sentence: str
) -> None:
    assert why_unsigned(found, against, 30) == sentence


def test_a_user_is_bound_where_nobody_else_is() -> None:
    users = {"ada": "sops-lab:ada:2", "bob": "sops-lab:bob:2", "eve": "sops-lab:eve:2"}
    found = {
        "ada-develop": ("sops-lab:ada:2",),
        "bob-develop": ("sops-lab:bob:1",),
        "eve-develop": ("sops-lab:eve:2", "sops-lab:eve:1"),
    }
    assert set(still_unbound(users, found)) == {"bob", "eve"}
    assert still_unbound(users, {}) == users
