"""Unusual pushes that a learner may make, and that Flux follows all the same."""

from __future__ import annotations

import base64
import json
import secrets
from functools import partial
from pathlib import Path

import pytest

from sopslab.layout import NAMESPACE
from tests.cluster.diagnosis import diagnosed
from tests.cluster.lab import Lab, run, wait_until
from tests.cluster.learner import FILE, KUSTOMIZATION, Learner

pytestmark = [pytest.mark.soak, pytest.mark.restores, pytest.mark.usefixtures("put_back")]


@pytest.fixture
def learner(lab: Lab, tmp_path: Path) -> Learner:
    """A learner who has not begun."""
    return Learner(lab, lab.learner(tmp_path))


def value_of(lab: Lab, secret: str, key: str) -> str:
    """Return a value of a Secret in the cluster, empty if it is not there."""
    found = lab.kubectl(
        "-n", NAMESPACE, "get", "secret", secret, "-o", f"jsonpath={{.data.{key}}}", check=False
    )
    return base64.b64decode(found).decode()


def manifest(name: str, value: str) -> dict[str, object]:
    """Return a Secret with one value."""
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"it": value}}


def test_a_history_that_was_rewritten_is_followed(learner: Learner) -> None:
    learner.encrypt()
    learner.wire()
    learner.commit()
    learner.push()
    assert learner.verify("--wait", "60").code == 0
    replaced = learner.run("git", "rev-parse", "HEAD").strip()
    learner.encrypt("--force")
    learner.commit("--amend")
    learner.run("git", "push", "--quiet", "--force")
    assert learner.run("git", "rev-parse", "HEAD").strip() != replaced
    assert learner.verify("--wait", "60").code == 0
    assert value_of(learner.lab, "backend-secrets", "API_TOKEN") == learner.values["API_TOKEN"]


def test_a_main_that_is_gone_is_named_and_comes_back_with_a_push(learner: Learner) -> None:
    lab, head = learner.lab, learner.lab.head()
    canary = value_of(lab, "lab-canary", "value")
    run(["git", "update-ref", "-d", "refs/heads/main"], cwd=lab.bare)
    try:
        # What fails is waited for as long as that may take, and here it cannot succeed.
        reconcile = ("reconcile", "source", "git", lab.settings.learner.id, "--timeout=5s")
        lab.run("flux", "-n", "flux-system", *reconcile, check=False)
        # It was the only branch.
        wait_until(lambda: diagnosed(lab) == ["empty-repository"], "the doctor names it")
        # Flux removes nothing for want of a branch.
        assert value_of(lab, "lab-canary", "value") == canary != ""
        learner.run("git", "push", "--quiet", "origin", "HEAD:main")
        assert lab.head() == head
        wait_until(lambda: diagnosed(lab) == [], "Flux follows again")
    finally:
        run(["git", "update-ref", "refs/heads/main", head], cwd=lab.bare)


def test_several_secrets_in_one_file_arrive(learner: Learner) -> None:
    values = {name: secrets.token_hex(16) for name in ("first", "second")}
    text = "---\n".join(f"{json.dumps(manifest(*one))}\n" for one in values.items())
    file = str(Path(FILE).parent / "several.yaml")
    encrypted = learner.run(
        "sops", "encrypt", "--input-type", "yaml", "--output-type", "yaml",
        "--filename-override", file, "/dev/stdin",
        stdin=text,
    )  # fmt: skip
    (learner.work / file).write_text(encrypted)
    with (learner.work / KUSTOMIZATION).open("a") as listed:
        listed.write("  - several.yaml\n")
    learner.commit()
    learner.push()
    head = run(["git", "rev-parse", "HEAD"], cwd=learner.work).stdout.strip()
    wait_until(partial(learner.lab.flux_applied, head), "Flux has applied them", 60)
    assert {name: value_of(learner.lab, name, "it") for name in values} == values
