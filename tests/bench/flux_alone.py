"""Thirty learners given to Flux by hand with one `kubectl apply`, with which a class is compared.

This is measured on the lab on which the class is made afterwards, so Flux, Git server and node are
the same. Keys, repositories and a file with the objects exist before the clock starts.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sopslab.config.places import FLUX
from tests.bench.processor import Spent, measured, of_lab
from tests.cluster.lab import Lab, run

CANARY = "lab-canary"
_PATIENCE = 300  # seconds


def measure_flux_alone(lab: Lab, folder: Path, learners: int, rounds: int) -> list[Spent]:
    """Return, for each round, what it takes from `kubectl apply` until every learner's canary is
    decrypted.

    + lab: a lab that is up, without a class
    + folder: where keys and objects are prepared
    + learners: the number of learners
    + rounds: the number of rounds; after each round, the objects are deleted
    """
    folder.mkdir(parents=True)
    ids = [f"hand-{number:03d}" for number in range(learners)]
    account = Path(lab.settings.account_dir(FLUX))
    login = {name: (account / name).read_bytes() for name in ("username", "password")}
    objects: list[dict[str, Any]] = []
    for one in ids:
        key = prepare(lab, folder, one)
        objects += learner_objects(one, lab.settings.git_base_cluster_url, key, login)
    # Namespaces come first, because `kubectl apply` applies the objects one by one.
    objects.sort(key=lambda found: found["kind"] != "Namespace")
    manifest = folder / "learners.json"
    manifest.touch(mode=0o600)
    manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}))
    taken = []
    try:
        for _ in range(rounds):
            taken.append(measured(lambda: apply(lab, manifest, ids), of_lab(lab)))
            lab.kubectl("delete", "--filename", str(manifest), "--wait", "--timeout=240s")
    finally:
        lab.kubectl("delete", "--filename", str(manifest), "--ignore-not-found", check=False)
        for one in ids:
            shutil.rmtree(repository_of(lab, one).parent, ignore_errors=True)
    return taken


def prepare(lab: Lab, folder: Path, one: str) -> bytes:
    """Make a learner's key and repository, with a canary encrypted to it, and return the key."""
    key, work = folder / f"{one}.agekey", folder / one
    lab.run("age-keygen", "-o", str(key))
    recipient = lab.run("age-keygen", "-y", str(key)).stdout.strip()
    secrets = work / "flux" / "secrets" / "develop"
    secrets.mkdir(parents=True)
    (secrets / "kustomization.yaml").write_text(f"resources: [{CANARY}.yaml]\n")
    (secrets / f"{CANARY}.yaml").write_text(
        lab.run(
            "sops", "encrypt", "--age", f"{recipient},{lab.recipient()}",
            "--encrypted-regex", "^(data|stringData)$",
            "--input-type", "yaml", "--output-type", "yaml", "/dev/stdin",
            stdin=json.dumps(canary(one)),
        ).stdout
    )  # fmt: skip
    bare = repository_of(lab, one)
    bare.mkdir(parents=True)
    for command in (
        ("init", "--quiet", "--bare", "--initial-branch=main", str(bare)),
        ("-C", str(work), "init", "--quiet", "--initial-branch=main"),
        ("-C", str(work), "add", "--all"),
        ("-C", str(work), "-c", "user.name=hand", "-c", "user.email=hand@localhost",
         "commit", "--quiet", "--message", "Begin"),
        ("-C", str(work), "push", "--quiet", str(bare), "HEAD:refs/heads/main"),
    ):  # fmt: skip
        run(["git", *command])
    return key.read_bytes()


def repository_of(lab: Lab, one: str) -> Path:
    """Return where the lab's Git server has the repository of a learner."""
    return Path(lab.settings.git_dir) / "repositories" / one / "lab.git"


def canary(one: str) -> dict[str, Any]:
    """Return the Secret that a learner's repository holds."""
    value = base64.b64encode(f"canary of {one}".encode()).decode()
    return {
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": CANARY, "namespace": f"{one}-develop"},
        "data": {"value": value},
    }  # fmt: skip


def learner_objects(
    one: str, git: str, key: bytes, login: dict[str, bytes]
) -> Iterator[dict[str, Any]]:
    """Yield the objects that Flux needs for a learner, and no others: namespaces, rights, key and
    delivery.

    + git: the URL of the Git server in the cluster
    + key: the identity that decrypts
    + login: the name and the password that Flux reads with
    """
    develop, system = f"{one}-develop", f"{one}-system"
    flux = "toolkit.fluxcd.io/v1"
    for namespace in (develop, system):
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    # Flux acts as this account, because the lab's controllers have no rights of their own.
    yield _object("v1", "ServiceAccount", system, "reconciler")
    yield _object(
        "rbac.authorization.k8s.io/v1", "RoleBinding", develop, "reconciler",
        roleRef={
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit",
        },
        subjects=[{"kind": "ServiceAccount", "name": "reconciler", "namespace": system}],
    )  # fmt: skip
    yield _object("v1", "Secret", system, "sops-age", data=_encoded({"age.agekey": key}))
    yield _object("v1", "Secret", system, "git-credentials", data=_encoded(login))
    yield _object(
        f"source.{flux}", "GitRepository", system, "lab",
        spec={
            "interval": "5m", "url": f"{git}/{one}/lab.git", "ref": {"branch": "main"},
            "secretRef": {"name": "git-credentials"},
        },
    )  # fmt: skip
    yield _object(
        f"kustomize.{flux}", "Kustomization", system, "secrets-develop",
        spec={
            "interval": "5m", "path": "./flux/secrets/develop", "prune": True, "wait": True,
            "serviceAccountName": "reconciler", "targetNamespace": develop,
            "sourceRef": {"kind": "GitRepository", "name": "lab"},
            "decryption": {"provider": "sops", "secretRef": {"name": "sops-age"}},
        },
    )  # fmt: skip


def _object(api: str, kind: str, namespace: str, name: str, **rest: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **rest}


def _encoded(entries: dict[str, bytes]) -> dict[str, str]:
    return {name: base64.b64encode(value).decode() for name, value in entries.items()}


def apply(lab: Lab, manifest: Path, ids: Sequence[str]) -> None:
    """Apply the objects, and return once every learner's canary is there, decrypted."""
    watch = subprocess.Popen(
        ["kubectl", "get", "secrets", "--all-namespaces", "--watch",
         "--field-selector", f"metadata.name={CANARY}",
         "--output", "jsonpath={.metadata.namespace} {.data.value}{'\\n'}"],
        env=lab.environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    alarm = threading.Timer(_PATIENCE, watch.kill)
    alarm.start()
    try:
        lab.kubectl("apply", "--server-side", "--filename", str(manifest))
        missing = arrivals(watch.stdout or (), ids)
    finally:
        alarm.cancel()
        watch.terminate()
        watch.wait()
    if missing:
        raise AssertionError(f"after {_PATIENCE} s Flux has not delivered to {sorted(missing)}")


def arrivals(lines: Iterable[str], ids: Sequence[str]) -> set[str]:
    """Read lines with a namespace and a value until the canary of every learner has come; return
    the learners whose canary has not."""
    missing = {f"{one}-develop {canary(one)['data']['value']}": one for one in ids}
    if missing:
        for line in lines:
            missing.pop(line.strip(), None)
            if not missing:
                break
    return set(missing.values())
