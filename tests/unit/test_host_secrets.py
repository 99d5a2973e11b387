"""Secrets that the cluster gets from files of the host, compared without showing a value."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sopslab.checks.snapshot import ClusterKey
from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Settings
from sopslab.lab.act import host_secrets as giving
from sopslab.lab.act.host_secrets import refused_by_seat
from sopslab.lab.observe.host_secrets import (
    differing,
    held_keys,
    secrets_drift,
    secrets_of,
)
from sopslab.lab.tools.programs import Failed
from sopslab.model.decryption import SecretDrift
from tests.repositories import learner, make_identity
from tests.texts import write_files

ADA, BOB, EVE = (at_seat(learner(one)) for one in ("ada", "bob", "eve"))

# A cluster with the Secrets in $here/live.json, which refuses the verb in $here/refuses.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
case " $* " in
*" get --raw /api/v1/"*secrets*) cat "$here/live.json" ;;
*" replace "*) cat >"$here/replaced" ;;
*" apply "*) cat >"$here/applied" ;;
*) exit 1 ;;
esac
case " $* " in *" $(cat "$here/refuses") "*) cat "$here/refusal" >&2; exit 1 ;; esac
"""


@pytest.fixture
def settings(answered_by: Callable[..., Settings]) -> Settings:
    """Two seats with keys, and a cluster without Secrets."""
    found = answered_by(KUBECTL, "age-keygen")
    login = {"credentials/flux/username": "flux", "credentials/flux/password": "x"}
    write_files(Path(found.git_dir), {**login, "receiver/token": "t"})
    for seat in ("ada", "bob", "learner"):
        recipient = make_identity(Path(found.keys_dir, f"{seat}.agekey"))
        Path(found.keys_dir, f"{seat}.pub").write_text(f"{recipient}\n")
    show(found, "live", {"items": []})
    refuse(found, "nothing", "")
    return found


def show(settings: Settings, name: str, what: Any) -> None:
    Path(settings.bin_dir, f"{name}.json").write_text(json.dumps(what))


def sent(settings: Settings, name: str) -> Any:
    return json.loads(Path(settings.bin_dir, name).read_text())["items"]


def refuse(settings: Settings, verb: str, said: str) -> None:
    """Make the API server refuse what a verb of kubectl sends."""
    Path(settings.bin_dir, "refuses").write_text(verb)
    Path(settings.bin_dir, "refusal").write_text(said)


def secrets(settings: Settings, *environments: Environment) -> list[Any]:
    found = secrets_of(settings.for_machine, environments)
    return [json.loads(json.dumps(one)) for each in found.values() for one in each]


def drift(settings: Settings, *environments: Environment) -> dict[str, SecretDrift]:
    return secrets_drift(settings.for_machine, list(environments))


def test_what_a_seat_lacks_is_told_by_what_is_worst(settings: Settings) -> None:
    assert drift(settings, ADA, BOB) == {"ada": "absent", "bob": "absent"}
    live = secrets(settings, ADA, BOB)
    show(settings, "live", {"items": live})
    assert drift(settings, ADA, BOB) == {}
    del live[1]
    live[0]["data"]["age.agekey"] = base64.b64encode(b"another").decode()
    show(settings, "live", {"items": live})
    assert drift(settings, ADA, BOB) == {"ada": "key"}


def test_a_key_that_is_one_of_the_clusters_only_differs(settings: Settings) -> None:
    live = secrets(settings, ADA)
    live[0]["data"]["next.agekey"] = live[0]["data"].pop("age.agekey")
    assert differing({"ada": secrets(settings, ADA)}, live) == {"ada": SecretDrift.DIFFERS}


def test_a_successor_and_a_certificate_are_given_too(
    settings: Settings, lab: Callable[..., Settings]
) -> None:
    networked = lab(git_bind="192.0.2.10")
    make_identity(Path(settings.keys_dir, "next/ada.agekey"))
    assert secrets(networked, ADA) == []
    ca = Path(str(networked.git_ca))
    ca.parent.mkdir(parents=True)
    ca.write_text("a certificate")
    key, login, token = secrets(networked, ADA)
    assert set(key["data"]) == {"age.agekey", "next.agekey"}
    assert set(login["data"]) == {"username", "password", "ca.crt"}
    assert set(token["data"]) == {"token"}


def test_who_has_failed_or_has_no_key_is_left_out(settings: Settings) -> None:
    Path(settings.class_dir, "failed").mkdir(parents=True)
    Path(settings.class_dir, "failed/ada").write_text("no key\n")
    assert drift(settings, ADA, BOB, EVE) == {"bob": "absent"}


def test_without_a_cluster_everything_is_absent(settings: Settings) -> None:
    Path(settings.lab_kubeconfig).unlink()
    assert drift(settings, ADA) == {"ada": "absent"}
    assert held_keys(settings.for_machine, [ADA]) == {"ada": ClusterKey(False)}


def test_the_seats_whose_key_the_cluster_has_are_told(settings: Settings) -> None:
    show(settings, "live", {"items": secrets(settings, BOB)[:1]})
    found = held_keys(settings.for_machine, [ADA, BOB])
    recipient = Path(settings.keys_dir, "bob.pub").read_text().strip()
    assert {who: set(one.recipients) for who, one in found.items()} == {
        "ada": set(), "bob": {recipient},
    }  # fmt: skip
    # Before the store is filled, nothing can read it.
    Path(settings.bin_dir, "age-keygen").unlink()
    found = held_keys(settings.for_machine, [ADA, BOB])
    assert found == {"ada": ClusterKey(False), "bob": ClusterKey(False)}


def failure(settings: Settings, seat: str) -> str:
    return Path(settings.class_dir, "failed", seat).read_text()


def test_another_key_in_the_cluster_is_told_in_public(settings: Settings) -> None:
    live = secrets(settings, BOB)[0]
    live["metadata"]["namespace"] = ADA.system
    show(settings, "live", {"items": [live]})
    giving.refuse_keys(settings.for_machine, [ADA, BOB])
    stored, other = (
        Path(settings.keys_dir, f"{seat}.pub").read_text().strip() for seat in ("ada", "bob")
    )
    assert f"store ({stored}) and the key in the cluster ({other}) differ" in failure(
        settings, "ada"
    )
    assert "the cluster (no valid identity) differ" in failure(settings, "bob")


@pytest.mark.parametrize("refuses", ["apply", "replace"])
def test_what_the_api_server_refuses_is_one_seats_failure(settings: Settings, refuses: str) -> None:
    said = 'Error from server (Forbidden): secrets "x" in lab-ada-sys is forbidden: over-the-top\n'
    refuse(settings, refuses, said)
    wanted = secrets(settings, ADA)
    show(settings, "live", {"items": [one | {"data": {}} for one in wanted]})
    giving.give(settings.for_machine, [ADA, BOB])
    assert "the cluster refused its key: the lab may not do that" in failure(settings, "ada")
    assert "over-the-top" not in failure(settings, "ada")
    assert not Path(settings.class_dir, "failed/bob").exists()
    # Whatever is refused, everything else is given.
    assert [one["kind"] for one in sent(settings, "applied")] == [
        *["Namespace"] * 2, *["Secret"] * 6,
    ]  # fmt: skip
    assert sent(settings, "replaced") == wanted


OF_ADA = 'Error from server (Forbidden): secrets "x" in lab-ada-sys is forbidden\n'
SILENT = "The connection to the server 127.0.0.1:6443 was refused\n"
LATE = "kubectl timed out after 120 s"


@pytest.mark.parametrize("refuses", ["apply", "replace"])
@pytest.mark.parametrize(
    ("said", "failed"),
    [
        ('Error from server (Forbidden): secrets "x" in flux-system is forbidden\n', []),
        (f'{OF_ADA}The Secret "sops-age" is invalid\n', ["ada"]),
        (SILENT, []),
        (LATE, []),
    ],
    ids=["refused", "refused-with-a-seat", "silent", "late"],
)
def test_what_the_learner_who_is_here_is_refused_ends_the_run_beside_seats(
    settings: Settings, refuses: str, said: str, failed: list[str]
) -> None:
    refuse(settings, refuses, said)
    alone = solo(settings)
    wanted = secrets(settings, alone, ADA)
    show(settings, "live", {"items": [one | {"data": {}} for one in wanted]})
    with pytest.raises(Failed) as refused:
        giving.give(settings.for_machine, [alone, ADA])
    assert refused.value.lines == said.splitlines()
    assert [path.name for path in Path(settings.class_dir).glob("failed/*")] == failed


def test_a_seat_alone_is_to_blame_beside_the_learner_who_is_here(settings: Settings) -> None:
    refuse(settings, "apply", OF_ADA)
    giving.give(settings.for_machine, [solo(settings), ADA])
    assert "the cluster refused its key" in failure(settings, "ada")


@pytest.mark.parametrize("said", [SILENT, LATE])
def test_a_cluster_that_is_silent_is_no_seats_failure(settings: Settings, said: str) -> None:
    refuse(settings, "apply", said)
    with pytest.raises(Failed) as silent:
        giving.give(settings.for_machine, [ADA, BOB])
    assert silent.value.lines == said.splitlines()
    assert not Path(settings.class_dir, "failed").exists()


def test_alone_on_a_lab_what_the_api_server_refuses_ends_the_run(settings: Settings) -> None:
    refuse(settings, "apply", "Error from server (Forbidden)\n")
    with pytest.raises(Failed) as refused:
        giving.give(settings.for_machine, [solo(settings)])
    assert refused.value.lines == ["Error from server (Forbidden)"]


@pytest.mark.parametrize("who", [ADA, None])
def test_a_secret_with_more_than_ours_is_replaced_and_no_other(
    settings: Settings, who: Environment | None
) -> None:
    environment = who or solo(settings)
    key, login, token = secrets(settings, environment)
    more = {**token["data"], "more": "eA=="}, {**token["metadata"]["labels"], "more": "1"}
    for change in ({"data": more[0]}, {"metadata": {**token["metadata"], "labels": more[1]}}):
        show(settings, "live", {"items": [key, login, token | change]})
        assert drift(settings, environment) == {environment.id: SecretDrift.DIFFERS}
        giving.give(settings.for_machine, [environment])
        assert sent(settings, "replaced") == [token]


def test_a_seat_is_told_from_one_whose_name_ends_or_begins_like_it() -> None:
    lines = ["in lab-ada-sys", "in my-lab-ada-sys", "in xlab-bob-sys", "(lab-bob-sys)"]
    lines.append('"lab-ada-sys-sys" not found')
    assert refused_by_seat(lines, ["ada", "ada-sys", "bob", "eve"]) == {
        "ada": ["in lab-ada-sys"],
        "ada-sys": ['"lab-ada-sys-sys" not found'],
        "bob": ["(lab-bob-sys)"],
    }


def test_alone_on_a_lab_the_secrets_are_beside_fluxs_own(settings: Settings) -> None:
    lab, alone = settings.for_machine, solo(settings)
    key, login, token = secrets(settings, alone)
    assert {one["metadata"]["namespace"] for one in (key, login, token)} == {"flux-system"}
    assert [one["metadata"]["name"] for one in (key, login, token)] == [
        "sops-age", "flux-system", "receiver-token",
    ]  # fmt: skip
    assert drift(settings, alone) == {"learner": SecretDrift.ABSENT}
    giving.give(lab, [alone])
    assert sent(settings, "applied") == [key, login, token]
    show(settings, "live", {"items": [key, login, token]})
    assert drift(settings, alone) == {}


def test_alone_on_a_lab_a_file_that_is_not_there_is_told(settings: Settings) -> None:
    Path(settings.git_dir, "receiver/token").unlink()
    assert drift(settings, solo(settings), ADA) == {"learner": SecretDrift.LACKING}


def test_whatever_is_in_a_file_is_given_as_it_is(settings: Settings) -> None:
    Path(settings.git_dir, "receiver/token").write_bytes(b"\xff\n")
    assert secrets(settings, ADA)[2]["data"]["token"] == base64.b64encode(b"\xff\n").decode()
