"""Secrets that the cluster has from files of the host: compared without a word of their values."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.settings import Settings
from sopslab.lab.act import host_secrets as giving
from sopslab.lab.act.host_secrets import refused_by_seat
from sopslab.lab.observe.host_secrets import (
    differing,
    manifest,
    of_seats,
    seat_secrets_drift,
    seats_with_keys,
    secret_matches,
)
from sopslab.model.decryption import SecretDrift
from tests.repositories import make_identity

# A cluster with the Secrets in $here/live.json, where what is created is there already.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
case " $* " in
*" get secrets "*) cat "$here/live.json" ;;
*" get secret "*) cat "$here/one.json" ;;
*" create "*) [ ! -s "$here/one.json" ] && cat >"$here/created" ;;
*" replace "*) cat >"$here/replaced" ;;
*" apply "*)
    cat >"$here/applied"
    [ ! -e "$here/refusal" ] || { cat "$here/refusal" >&2; exit 1; } ;;
esac
"""


@pytest.fixture
def settings(lab: Callable[..., Settings], tools: Callable[..., Path]) -> Settings:
    """Two seats with keys, and a cluster that has nothing yet."""
    found = lab()
    (tools("age-keygen") / "kubectl").write_text(KUBECTL)
    Path(found.bin_dir, "kubectl").chmod(0o755)
    for name, text in (("credentials/flux/username", "flux"), ("credentials/flux/password", "x"),
                       ("receiver/token", "t")):  # fmt: skip
        path = Path(found.git_dir, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    for seat in ("ada", "bob"):
        recipient = make_identity(Path(found.keys_dir, f"{seat}.agekey"))
        Path(found.keys_dir, f"{seat}.pub").write_text(f"{recipient}\n")
    Path(found.lab_kubeconfig).write_text("a: kubeconfig\n")
    show(found, "live", {"items": []})
    Path(found.bin_dir, "one.json").touch()
    return found


def show(settings: Settings, name: str, what: Any) -> None:
    Path(settings.bin_dir, f"{name}.json").write_text(json.dumps(what))


def secrets(settings: Settings, *seats: str) -> list[Any]:
    found = of_seats(settings.for_machine, seats)
    return [json.loads(json.dumps(one)) for one in found if one["kind"] == "Secret"]


def test_what_a_seat_lacks_is_told_by_what_is_worst(settings: Settings) -> None:
    lab = settings.for_machine
    assert seat_secrets_drift(lab, ["ada", "bob"]) == {"ada": "absent", "bob": "absent"}
    live = secrets(settings, "ada", "bob")
    show(settings, "live", {"items": live})
    assert seat_secrets_drift(lab, ["ada", "bob"]) == {}
    del live[1]
    live[0]["data"]["age.agekey"] = base64.b64encode(b"another").decode()
    show(settings, "live", {"items": live})
    assert seat_secrets_drift(lab, ["ada", "bob"]) == {"ada": "key"}


def test_a_key_that_is_one_of_the_clusters_only_differs(settings: Settings) -> None:
    live = secrets(settings, "ada")
    live[0]["data"]["next.agekey"] = live[0]["data"].pop("age.agekey")
    assert differing(secrets(settings, "ada"), live) == {"ada": SecretDrift.DIFFERS}


def test_a_successor_and_a_certificate_are_given_too(
    settings: Settings, lab: Callable[..., Settings]
) -> None:
    networked = lab(git_bind="192.0.2.10")
    make_identity(Path(settings.keys_dir, "next/ada.agekey"))
    assert secrets(networked, "ada") == []
    authority = Path(str(networked.git_authority))
    authority.parent.mkdir(parents=True)
    authority.write_text("a certificate")
    key, login, token = secrets(networked, "ada")
    assert set(key["data"]) == {"age.agekey", "next.agekey"}
    assert set(login["data"]) == {"username", "password", "ca.crt"}
    assert set(token["data"]) == {"token"}


def test_who_has_failed_or_has_no_key_is_left_out(settings: Settings) -> None:
    Path(settings.class_dir, "failed").mkdir(parents=True)
    Path(settings.class_dir, "failed/ada").write_text("no key\n")
    assert seat_secrets_drift(settings.for_machine, ["ada", "bob", "eve"]) == {"bob": "absent"}


def test_without_a_cluster_everything_is_absent(settings: Settings) -> None:
    Path(settings.lab_kubeconfig).unlink()
    assert seat_secrets_drift(settings.for_machine, ["ada"]) == {"ada": "absent"}
    assert seats_with_keys(settings.for_machine, ["ada"]) == []


def test_the_seats_whose_key_the_cluster_has_are_told(settings: Settings) -> None:
    show(settings, "live", {"items": secrets(settings, "bob")[:1]})
    assert seats_with_keys(settings.for_machine, ["ada", "bob"]) == ["bob"]


def failure(settings: Settings, seat: str) -> str:
    return Path(settings.class_dir, "failed", seat).read_text()


def test_another_key_in_the_cluster_is_told_in_public(settings: Settings) -> None:
    live = secrets(settings, "bob")[0]
    live["metadata"]["labels"]["sops-lab/seat"] = "ada"
    show(settings, "live", {"items": [live]})
    giving.refuse_keys(settings.for_machine, ["ada", "bob"])
    stored, other = (
        Path(settings.keys_dir, f"{seat}.pub").read_text().strip() for seat in ("ada", "bob")
    )
    assert f"store ({stored}) and the key in the cluster ({other}) differ" in failure(
        settings, "ada"
    )
    assert "the cluster (no valid identity) differ" in failure(settings, "bob")


def test_what_the_api_server_refuses_is_one_seats_failure(settings: Settings) -> None:
    said = 'Error from server (Forbidden): secrets "x" in lab-ada-sys is forbidden: over-the-top\n'
    Path(settings.bin_dir, "refusal").write_text(said)
    giving.give_seats(settings.for_machine, ["ada", "bob"])
    assert "the cluster refused its key: the lab may not do that" in failure(settings, "ada")
    assert "over-the-top" not in failure(settings, "ada")
    assert not Path(settings.class_dir, "failed/bob").exists()
    applied = json.loads(Path(settings.bin_dir, "applied").read_text())["items"]
    assert [one["kind"] for one in applied] == ["Namespace", *["Secret"] * 3] * 2


def test_a_seat_is_told_from_one_whose_name_ends_like_it() -> None:
    lines = ["in lab-ada-sys", "in my-lab-ada-sys", "in xlab-bob-sys", "(lab-bob-sys)"]
    assert refused_by_seat(lines, ["ada", "bob", "eve"]) == {
        "ada": ["in lab-ada-sys"], "bob": ["(lab-bob-sys)"],
    }  # fmt: skip


def test_a_secret_has_exactly_the_entries_of_the_files(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "value").write_bytes(b"\xff\n")
    lab = settings.for_machine

    def is_same(entries: Mapping[str, str], labels: Mapping[str, str]) -> bool:
        return secret_matches(lab, "n", "s", dict(entries), dict(labels))

    entries, labels = {"a": str(tmp_path / "value")}, {"x": "1"}
    assert not is_same(entries, labels)
    giving.give(lab, "n", "s", entries, labels)
    created = json.loads(Path(settings.bin_dir, "created").read_text())
    assert created == manifest("n", "s", {"a": b"\xff\n"}, labels)
    show(settings, "one", created)
    assert is_same(entries, labels)
    assert not is_same(entries, {})
    assert not is_same({**entries, "b": entries["a"]}, labels)
    assert not is_same({"a": str(tmp_path / "nowhere")}, labels)
    # What is there already is replaced, in one request.
    giving.give(lab, "n", "s", entries, labels)
    assert json.loads(Path(settings.bin_dir, "replaced").read_text()) == created
