"""Another learner's Secrets, and Secrets that do not come from Git."""

from __future__ import annotations

import base64
import hashlib
import json
import time

import pytest

from sopslab.layout import CANARY_PATH
from tests.cluster.isolation.hostile import APPS, FORBIDDEN, SECRETS, Hostile, live_canary, manifest
from tests.cluster.lab import run
from tests.texts import replaced

pytestmark = pytest.mark.every_provider


def test_another_learners_secret_is_not_decrypted(ada: Hostile, bob: Hostile) -> None:
    stolen = (bob.work / CANARY_PATH).read_text()
    assert "ENC[" in stolen
    (ada.work / SECRETS / "stolen.yaml").write_text(
        stolen.replace("name: lab-canary", "name: stolen").replace("bob-develop", "ada-develop")
    )
    ada.refer_to("stolen.yaml")

    # The Git server knows the recipients that every pushed secret must have.
    refused = ada.push(check=False)
    assert refused.returncode != 0, "this was taken"
    assert "[sops-missing-recipient]" in refused.stderr, refused.stderr

    # Even if the Git server let it pass, Flux has no key for it.
    ada.smuggle()
    said = ada.failure()
    assert "decrypt" in said and "ada-develop/stolen" in said, said

    assert "stolen" not in {item["metadata"]["name"] for item in ada.owns("secrets")}
    value = base64.b64decode(live_canary(bob)).decode()
    everything = ada.lab.kubectl(
        "-n", ada.namespace, "get", "secrets,configmaps,events", "-o", "yaml"
    )
    everything += ada.lab.kubectl("-n", ada.system, "get", "kustomizations,events", "-o", "yaml")
    everything += ada.lab.kubectl("-n", "flux-system", "logs", "deployment/kustomize-controller")
    for dress in (value, live_canary(bob)):
        # `is False` keeps the value out of the message if this fails.
        assert (dress in everything) is False, "the value of another learner is to be seen"


def test_another_learners_repository_is_closed(ada: Hostile, bob: Hostile) -> None:
    mine = run(["git", "remote", "get-url", "origin"], cwd=ada.work).stdout.strip()
    theirs = replaced(mine, "/ada/", "/bob/")
    head = bob.classroom.head("bob")

    run(["git", "remote", "set-url", "origin", theirs], cwd=ada.work)
    read = run(["git", "fetch", "origin"], cwd=ada.work, check=False)
    (ada.work / "README.md").write_text("mine now\n")

    written = ada.push(check=False)

    for refused in (read, written):
        assert refused.returncode != 0 and "403" in refused.stderr, refused.stderr
    assert bob.classroom.head("bob") == head


@pytest.mark.parametrize(
    "path", [f"{SECRETS}/plain.yaml", f"{APPS}/plain.yaml", "notes/plain.yaml"]
)
def test_a_plain_secret_does_not_get_past_the_git_server(ada: Hostile, path: str) -> None:
    before = ada.classroom.head("ada")
    value = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()
    file = ada.work / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(manifest("Secret", "plain", stringData={"token": value})))

    done = ada.push(check=False)

    assert done.returncode != 0 and path in done.stderr, done.stderr
    assert value not in done.stdout + done.stderr
    assert ada.classroom.head("ada") == before
    # The check that CI runs refuses the same files.
    checked = ada.lab.run("sopslab", "policy", "history", str(ada.work), check=False)
    assert checked.returncode == 1 and path in checked.stdout + checked.stderr


def test_a_secret_made_by_hand_is_refused(ada: Hostile) -> None:
    secret = manifest("Secret", "by-hand", stringData={"token": "x"})

    assert FORBIDDEN.search(ada.not_created(secret))


def test_a_secret_comes_from_the_reconciler_or_the_instructor(ada: Hostile) -> None:
    """The policy also holds for an account that has the right, here by the role `edit`."""
    lab, helper = ada.lab, "--as=sops-lab-test-helper"
    lab.kubectl(
        "-n", ada.namespace, "create", "rolebinding", "helper", "--clusterrole=edit",
        "--user=sops-lab-test-helper",
    )  # fmt: skip
    try:
        create = ("-n", ada.namespace, "create", "secret", "generic", "by-hand")
        done = lab.run("kubectl", helper, *create, check=False)
        assert done.returncode != 0 and "sops-lab-secrets" in done.stderr, done.stderr

        lab.kubectl(*create)
        lab.kubectl("-n", ada.namespace, "delete", "secret", "by-hand")
    finally:
        lab.kubectl("-n", ada.namespace, "delete", "rolebinding", "helper")
