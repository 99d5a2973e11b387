"""A cluster that somebody made by hand with stock kind, as the provider `existing` finds it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from sopslab.artifacts.catalog import load_catalog
from tests.cluster.lab import Lab, run

CLUSTER = "lab-hand-made"
CONTEXT = f"kind-{CLUSTER}"
CONTROL_PLANE, WORKER = f"{CLUSTER}-control-plane", f"{CLUSTER}-worker"
_NETWORK = "/etc/cni/net.d/10-sops-lab.conflist"


def plain_configuration(image: str) -> dict[str, Any]:
    """Return the kind configuration of a cluster with what this machine needs at all, and nothing
    of what the lab tunes: no second network plugin, either version of cgroup, and no capability
    that a container in a container does not have.
    """
    text = "{{json .Config.Labels}}"
    labels = json.loads(run(["docker", "image", "inspect", "--format", text, image]).stdout)
    return {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "networking": {"disableDefaultCNI": labels["sops-lab.cni"] == "static"},
        "kubeadmConfigPatches": ["kind: KubeletConfiguration\nfailCgroupV1: false\n"],
        "containerdConfigPatches": [
            '[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n'
        ],
    }


def create_cluster(lab: Lab, folder: Path, kubeconfig: Path, *, worker: bool = False) -> None:
    """Make the cluster of one node, or of two, of which pods without tolerations get one."""
    image = load_catalog(lab.settings.catalog).node_tag
    configuration = plain_configuration(image)
    if worker:
        configuration["nodes"] = [{"role": "control-plane"}, {"role": "worker"}]
    (folder / "kind.yaml").write_text(json.dumps(configuration))
    run(["docker", "network", "create", CLUSTER])
    run(
        [
            f"{lab.settings.bin_dir}/kind", "create", "cluster", "--quiet", "--name", CLUSTER,
            "--image", image, "--config", str(folder / "kind.yaml"),
            "--kubeconfig", str(kubeconfig), "--wait", "120s",
        ],
        env={**lab.base_environment, "KIND_EXPERIMENTAL_DOCKER_NETWORK": CLUSTER},
    )  # fmt: skip
    if worker and configuration["networking"]["disableDefaultCNI"]:
        _connect_pods(lab)


def _connect_pods(lab: Lab) -> None:
    """Give each node the range of its own pods, and a route to those of the other one: the network
    in the lab's node image is made for a node that is alone."""
    said = run([*users_kubectl(lab), "get", "nodes", "--output=json"], env=lab.environment).stdout
    nodes = {
        one["metadata"]["name"]: (one["spec"]["podCIDR"], one["status"]["addresses"][0]["address"])
        for one in json.loads(said)["items"]
    }
    alone = nodes[CONTROL_PLANE][0]
    run(["docker", "exec", WORKER, "sed", "-i", f"s#{alone}#{nodes[WORKER][0]}#", _NETWORK])
    for node, (pods, address) in nodes.items():
        other = WORKER if node == CONTROL_PLANE else CONTROL_PLANE
        run(["docker", "exec", other, "ip", "route", "replace", pods, "via", address])


def remove_cluster() -> None:
    run(["docker", "rm", "--force", "--volumes", CONTROL_PLANE, WORKER], check=False)
    run(["docker", "network", "rm", CLUSTER], check=False)


def identities(kubectl: list[str], lab: Lab) -> str:
    """Return what tells a cluster from another, and its node from another."""
    text = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{'\\n'}{end}"
    return run([*kubectl, "get", "nodes,namespaces", "--output", text], env=lab.environment).stdout


def users_kubectl(lab: Lab) -> list[str]:
    """Return the words before every call of kubectl on the cluster by the user's own kubeconfig."""
    return ["kubectl", "--kubeconfig", str(lab.data["kubeconfig"]), "--context", CONTEXT]
