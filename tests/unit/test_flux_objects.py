"""Faults in the cluster: which object each of them changes, and how it is restored."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.settings import Settings
from sopslab.course.fault_record import Injection, parse_record
from sopslab.course.faults import FAULTS
from sopslab.errors import LabError
from sopslab.lab.act import faults
from sopslab.lab.act.flux_objects import LOCKDOWN_FLAG
from sopslab.lab.observe.faults import record_file
from sopslab.lab.tools.programs import Failed
from tests.repositories import learner
from tests.texts import write_program

IN_CLUSTER = [fault.id for fault in FAULTS if not fault.in_git]
RECONCILE = "kustomize.toolkit.fluxcd.io/reconcile"
IDENTITY = "# public key: age1mine\nAGE-SECRET-KEY-1MINE\n"
LOGIN = {
    "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
    "metadata": {"name": "flux-system", "namespace": "flux-system", "labels": {"a": "b"},
                 "resourceVersion": "1", "managedFields": []},
    "data": {"username": "Zmx1eA==", "password": "cmlnaHQ="},
}  # fmt: skip
CONTROLLER = {
    "spec": {"template": {"spec": {"containers": [
        {"name": "manager", "image": "c:1", "args": ["--a", LOCKDOWN_FLAG, "--b"]},
        {"name": "other", "args": [LOCKDOWN_FLAG]},
    ]}}},
}  # fmt: skip
# Records its calls, and knows two objects; it fails at the word in the file `failing`.
KUBECTL = f"""#!{sys.executable}
import json, pathlib, sys
folder = pathlib.Path(__file__).parent
words = sys.argv[3:]
with open(folder / "calls", "a") as calls:
    print(json.dumps([words, sys.stdin.read()]), file=calls)
if words[0] == "get":
    print(json.dumps({{"secret": {LOGIN!r}, "deployment": {CONTROLLER!r}}}.get(words[1], {{}})))
failing = folder / "failing"
if failing.exists() and failing.read_text() in words:
    sys.exit("no")
"""


@dataclass
class Cluster:
    """A cluster that records its requests."""

    settings: Settings
    environment: Environment
    folder: Path

    def inject(self, *ids: str) -> None:
        faults.inject(self.settings.for_machine, self.environment, dict.fromkeys(ids))

    def mend(self, *ids: str) -> None:
        faults.mend(self.settings.for_machine, self.environment, list(ids))

    def fail_at(self, word: str) -> None:
        (self.folder / "failing").write_text(word)

    def record(self) -> Path:
        return Path(record_file(self.settings, self.environment))

    def calls(self, verb: str) -> list[tuple[list[str], Any]]:
        """Return kubectl's calls with this verb, and the objects on their standard input."""
        lines = (self.folder / "calls").read_text().splitlines()
        found = [json.loads(line) for line in lines]
        return [
            (words, json.loads(stdin) if stdin else None) for words, stdin in found if verb in words
        ]

    def patched(self, kind: str, name: str, strategy: str = "merge") -> Any:
        """Return the only patch of an object."""
        ((words, patch),) = self.calls("patch")
        assert words[words.index("patch") + 1 :][:4] == [kind, name, "--type", strategy]
        assert words[words.index("--field-manager") + 1] == "sops-lab-fault"
        return patch

    def key(self) -> tuple[dict[str, str], dict[str, bytes]]:
        """Return the labels of the key that was applied, and its entries."""
        ((words, objects),) = self.calls("apply")
        assert "--server-side" in words and "--force-conflicts" not in words
        (key,) = objects["items"]
        assert (key["kind"], key["type"]) == ("Secret", "Opaque")
        assert key["metadata"]["name"] == "sops-age"
        assert key["metadata"]["namespace"] == self.environment.system
        # The Secret was deleted first, so that the new one owns each of its fields.
        assert self.calls("delete")
        entries = {name: base64.b64decode(value) for name, value in key["data"].items()}
        return key["metadata"]["labels"], entries


@pytest.fixture
def clusters(
    lab: Callable[..., Settings], tools: Callable[..., Path]
) -> Callable[[Environment | None], Cluster]:
    def make(environment: Environment | None = None) -> Cluster:
        settings, folder = lab(), tools("age-keygen")
        write_program(folder / "kubectl", KUBECTL)
        made = Cluster(settings, environment or solo(settings), folder)
        identity = Path(settings.keys_dir, f"{made.environment.key}.agekey")
        identity.parent.mkdir(parents=True)
        identity.write_text(IDENTITY)
        return made

    return make


@pytest.fixture
def alone(clusters: Callable[[Environment | None], Cluster]) -> Cluster:
    return clusters(None)


@pytest.fixture
def seat(clusters: Callable[[Environment | None], Cluster]) -> Cluster:
    return clusters(at_seat(learner("ada")))


def test_a_key_is_gone(alone: Cluster) -> None:
    alone.inject("missing-key")
    ((words, _),) = alone.calls("delete")
    assert words[:5] == ["--namespace", "flux-system", "delete", "secret", "sops-age"]
    assert not alone.calls("apply")


def test_a_key_is_another_one_s(alone: Cluster) -> None:
    alone.inject("wrong-key")
    labels, entries = alone.key()
    assert labels == {"reconcile.fluxcd.io/watch": "Enabled"}
    assert set(entries) == {"age.agekey"}
    assert b"AGE-SECRET-KEY-1" in entries["age.agekey"] and b"MINE" not in entries["age.agekey"]


def test_a_key_has_a_name_that_flux_does_not_read(seat: Cluster) -> None:
    seat.inject("key-without-agekey")
    labels, entries = seat.key()
    assert labels == {"reconcile.fluxcd.io/watch": "Enabled", "sops-lab/seat": "ada"}
    assert entries == {"age.key": IDENTITY.encode()}


def test_a_key_lacks_a_letter(seat: Cluster) -> None:
    seat.inject("corrupt-key")
    assert seat.key()[1] == {"age.agekey": IDENTITY.replace("MINE", "MIN").encode()}


def test_a_kustomization_is_suspended_and_resumed(seat: Cluster) -> None:
    seat.inject("suspended-kustomization")
    assert seat.patched("kustomization", "secrets-develop") == {"spec": {"suspend": True}}
    (seat.folder / "calls").unlink()
    seat.mend("suspended-kustomization")
    assert seat.patched("kustomization", "secrets-develop") == {"spec": {"suspend": None}}


def test_a_path_is_another_one_and_flux_leaves_it_alone(seat: Cluster) -> None:
    seat.inject("wrong-path")
    assert seat.patched("kustomization", "secrets-develop") == {
        "metadata": {"annotations": {RECONCILE: "disabled"}},
        "spec": {"path": "./flux/secrets/staging"},
    }
    (seat.folder / "calls").unlink()
    seat.mend("wrong-path")
    assert seat.patched("kustomization", "secrets-develop") == {
        "metadata": {"annotations": {RECONCILE: None}},
        "spec": {"path": "./flux/secrets/develop"},
    }


def test_a_source_is_looked_for_where_nobody_listens(alone: Cluster) -> None:
    alone.inject("source-controller-without-git")
    assert alone.patched("gitrepository", "learner") == {
        "metadata": {"annotations": {RECONCILE: "disabled"}},
        "spec": {"url": "http://lab-git:9/learner/lab.git"},
    }
    (alone.folder / "calls").unlink()
    alone.mend("source-controller-without-git")
    assert alone.patched("gitrepository", "learner") == {
        "metadata": {"annotations": {RECONCILE: None}},
        "spec": {"url": "http://lab-git:8080/learner/lab.git"},
    }


def test_a_credential_has_another_password_and_is_else_what_it_was(alone: Cluster) -> None:
    alone.inject("git-credential-revoked")
    ((words, objects),) = alone.calls("apply")
    assert "--force-conflicts" in words
    (login,) = objects["items"]
    assert login["metadata"] == {
        "name": "flux-system", "namespace": "flux-system", "labels": {"a": "b"}
    }  # fmt: skip
    assert login["data"]["username"] == "Zmx1eA=="
    assert len(base64.b64decode(base64.b64decode(login["data"]["password"]))) == 32
    assert login["data"]["password"] != "cmlnaHQ="


def test_a_flag_of_the_controller_is_taken_off_and_it_is_waited_for(alone: Cluster) -> None:
    alone.inject("drifted-lockdown-flag")
    assert alone.patched("deployment", "kustomize-controller", "strategic") == {
        "metadata": {"annotations": {RECONCILE: "disabled"}},
        "spec": {
            "template": {"spec": {"containers": [{"name": "manager", "args": ["--a", "--b"]}]}}
        },
    }
    assert alone.calls("rollout")
    (alone.folder / "calls").unlink()
    alone.mend("drifted-lockdown-flag")
    assert [words for words, _ in alone.calls(f"{RECONCILE}-")] and alone.calls("rollout")


@pytest.mark.parametrize("fault", IN_CLUSTER)
def test_every_one_is_written_down_and_flux_looks_at_it(alone: Cluster, fault: str) -> None:
    alone.inject(fault)
    assert parse_record(alone.record().read_text()) == {fault: Injection(done=True)}
    asked = [words for words, _ in alone.calls("--overwrite")]
    assert ["--all" in words for words in asked] == [True, False]
    assert "kustomization/secrets-develop" in asked[1]


@pytest.mark.parametrize("fault", IN_CLUSTER)
def test_no_value_and_no_name_of_a_fault_is_an_argument(alone: Cluster, fault: str) -> None:
    alone.inject(fault)
    arguments = (word for words, _ in alone.calls("--namespace") for word in words)
    said = " ".join(arguments)
    assert "SECRET-KEY" not in said and "cmlnaHQ" not in said and fault not in said


def test_what_was_begun_is_written_down_before_it_is_done(alone: Cluster) -> None:
    alone.inject("missing-key")
    alone.fail_at("patch")
    with pytest.raises(Failed):
        alone.inject("suspended-kustomization")
    known = parse_record(alone.record().read_text())
    assert known == {
        "missing-key": Injection(done=True), "suspended-kustomization": Injection(done=False)
    }  # fmt: skip
    assert alone.record().stat().st_mode & 0o777 == 0o600


def test_a_cluster_that_does_not_answer_is_not_broken(alone: Cluster) -> None:
    alone.fail_at("/readyz")
    for act in (alone.inject, alone.mend):
        with pytest.raises(LabError, match="`sopslab status` tells more"):
            act("wrong-path")
    assert not alone.record().exists()
    assert not alone.calls("patch")


def test_a_record_that_is_damaged_is_not_written_over(alone: Cluster) -> None:
    alone.record().parent.mkdir(parents=True)
    alone.record().write_text("nonsense")
    with pytest.raises(LabError, match="is damaged"):
        alone.inject("missing-key")
    assert alone.record().read_text() == "nonsense"
    assert not alone.calls("delete")


def test_what_others_put_back_is_only_looked_at_again(alone: Cluster) -> None:
    alone.mend("missing-key", "wrong-key", "git-credential-revoked")
    assert not alone.calls("patch") and not alone.calls("apply") and not alone.calls("delete")
    assert alone.calls("--overwrite")
