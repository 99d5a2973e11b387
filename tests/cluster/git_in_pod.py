"""A cluster that is made by hand, for a lab whose Git server is to be in it.

Every node has the volume for the repositories, and this machine and the nodes have a registry.
"""

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
# The lab's node image has no storage class, so this volume of one is made by hand.
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
    """Make a cluster, and yield a lab that is not up yet, whose Git server is to be in it. Both are
    removed afterwards.

    + workers: how many nodes there are besides the control plane
    """
    repositories = folder / "repositories"
    repositories.mkdir(parents=True)
    # The server's pod runs as another user, who has to write here.
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
            # Clones that a test makes by hand have to trust the server, too.
            patch.setenv("GIT_SSL_CAINFO", str(lab.settings.git_ca))
            run([*users_kubectl(lab), "apply", "--filename", "-"], env=lab.environment,
                stdin=json.dumps(_VOLUME))  # fmt: skip
            free = "--for=jsonpath={.status.phase}=Available"
            run([*users_kubectl(lab), "wait", "pv/repositories", free, "--timeout=60s"],
                env=lab.environment)  # fmt: skip
            yield lab


def address_of_node() -> str:
    """Return the address at which this machine reaches the ports of the node."""
    text = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    return run(["docker", "inspect", "--format", text, CONTROL_PLANE]).stdout.strip()


def registry_in_nodes(lab: Lab) -> None:
    """Serve this machine's registry within each node at the same address, so that nodes pull from
    it."""
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
