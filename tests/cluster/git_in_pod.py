"""A cluster that somebody made by hand, for a lab whose Git server is to be in it: with a volume
for the repositories that every node has, and a registry that this machine and the nodes know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cluster.hand_made import CONTROL_PLANE, hand_made_cluster, users_kubectl
from tests.cluster.lab import Lab, run
from tests.registry import built, configuration, serving

PORT = 30443
_REPOSITORIES = "/var/sops-lab-repositories"
# The lab's node image has no storage class; a volume of one is made by hand.
_VOLUME = {
    "apiVersion": "v1",
    "kind": "PersistentVolume",
    "metadata": {"name": "repositories"},
    "spec": {
        "storageClassName": "by-hand",
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "hostPath": {"path": _REPOSITORIES},
    },
}


@contextmanager
def lab_with_git_in_cluster(name: str, folder: Path, *, workers: int = 0) -> Iterator[Lab]:
    """Have a cluster, and a lab that is not up yet, whose Git server is to be in it. Both are gone
    afterwards.

    + workers: how many nodes besides the control plane
    """
    repositories = folder / "repositories"
    repositories.mkdir(parents=True)
    # The server's pod has a user of its own.
    repositories.chmod(0o777)
    shared = {repositories: _REPOSITORIES}
    with (
        serving(built(), folder / "registry") as registry,
        hand_made_cluster(
            name, folder, {"registry": registry}, workers=workers, shared=shared
        ) as plain,
    ):
        git = {
            "host": address_of_node(), "port": PORT, "service": "NodePort",
            "storage_class": "by-hand", "size": "1Gi",
        }  # fmt: skip
        lab = Lab(plain.name, folder, {**plain.data, "git_in_cluster": git})
        with pytest.MonkeyPatch.context() as patch:
            # For clones that are made by hand, beside those of the lab.
            patch.setenv("GIT_SSL_CAINFO", str(lab.settings.git_ca))
            run([*users_kubectl(lab), "apply", "--filename", "-"], env=lab.environment,
                stdin=json.dumps(_VOLUME))  # fmt: skip
            free = "--for=jsonpath={.status.phase}=Available"
            run([*users_kubectl(lab), "wait", "pv/repositories", free, "--timeout=60s"],
                env=lab.environment)  # fmt: skip
            yield lab


def address_of_node() -> str:
    """Return where this machine reaches the ports of the node."""
    text = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return run(["docker", "inspect", "--format", text, CONTROL_PLANE]).stdout.strip()


def registry_in_nodes(lab: Lab) -> None:
    """Have each node pull from what this machine has pushed to, at the same address."""
    registry = str(lab.data["registry"])
    kept, config = "/var/registry", lab.folder / "node-registry.yaml"
    config.write_text(configuration(kept, registry))
    listed = run([*users_kubectl(lab), "get", "nodes", "--output=name"], env=lab.environment).stdout
    for node in (name.removeprefix("node/") for name in listed.split()):
        for source, target in (
            (built(), "/usr/local/bin/registry"),
            (lab.folder / "registry", kept),
            (config, "/etc/registry.yaml"),
        ):
            run(["docker", "cp", str(source), f"{node}:{target}"])
        run(["docker", "exec", "--detach", node, "registry", "serve", "/etc/registry.yaml"])
