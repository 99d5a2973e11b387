"""A cluster that somebody made by hand with stock kind, as the provider `existing` finds it."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import yaml

from sopslab.artifacts.catalog import load_catalog
from sopslab.layout import ENFORCER, PROJECT
from tasks.host import LIMITS
from tests.cluster.lab import Lab, as_root, lab_name, run, wait_until
from tests.cluster.neighbour import address_of_this_machine

CLUSTER = lab_name("hand-made")
CONTEXT = f"kind-{CLUSTER}"
# The nodes as kind names them; a cluster has three at most.
NODES = tuple(f"{CLUSTER}-{role}" for role in ("control-plane", "worker", "worker2"))
CONTROL_PLANE, WORKER, WORKER2 = NODES
# The addresses of all pods of such a cluster; each node has a part of them.
_PODS = "10.244.0.0/16"
_INSTRUCTORS = "instructors"
_NETWORK = "/etc/cni/net.d/10-sops-lab.conflist"


def plain_configuration(image: str) -> dict[str, Any]:
    """Return the kind configuration of a cluster with only what this machine needs, and without
    what the lab tunes.

    It has no second network plugin, works with either version of cgroup, and needs no capability
    that a container in a container lacks.
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


def _create_cluster(lab: Lab, workers: int, shared: Mapping[Path, str]) -> None:
    """Make the cluster that the lab file names, and wait until its nodes are ready.

    + workers: how many nodes there are besides the control plane, two at most; pods without
      tolerations run only on these
    + shared: folders of this machine, and their paths on every node
    """
    _raise_limits()
    image = load_catalog(lab.settings.catalog).node_tag
    configuration = plain_configuration(image)
    roles = ["control-plane", *["worker"] * workers]
    mounts = [{"hostPath": str(here), "containerPath": there} for here, there in shared.items()]
    configuration["nodes"] = [{"role": role, "extraMounts": mounts} for role in roles]
    (lab.folder / "kind.yaml").write_text(json.dumps(configuration))
    run(["docker", "network", "create", CLUSTER])
    run(
        [
            f"{lab.settings.bin_dir}/kind", "create", "cluster", "--quiet", "--name", CLUSTER,
            "--image", image, "--config", str(lab.folder / "kind.yaml"),
            "--kubeconfig", str(lab.data["kubeconfig"]), "--wait", "120s",
        ],
        env={**lab.base_environment, "KIND_EXPERIMENTAL_DOCKER_NETWORK": CLUSTER},
    )  # fmt: skip
    wait = (*users_kubectl(lab), "wait", "nodes", "--all", "--timeout=60s")
    for condition in ("condition=Ready", "jsonpath={.spec.podCIDR}"):
        run([*wait, f"--for={condition}"], env=lab.environment)
    wait_until(lambda: _takes_pods(lab), "the nodes that are ready take pods", 60)
    if not workers:
        return
    if configuration["networking"]["disableDefaultCNI"]:
        connect_pods(lab)


def _raise_limits() -> None:
    """Raise the kernel limits as kind asks its users to: a lab does that only for a cluster of its
    own."""
    for key, at_least in LIMITS.items():
        limit = Path("/proc/sys", *key.split("."))
        if int(limit.read_text()) < at_least:
            run(as_root("tee", str(limit)), stdin=str(at_least))


def _takes_pods(lab: Lab) -> bool:
    """Return whether the taint is gone from all nodes that goes a moment after they are ready."""
    taints = ("get", "nodes", "--output=jsonpath={.items[*].spec.taints[*].key}")
    said = run([*users_kubectl(lab), *taints], env=lab.environment).stdout
    return "node.kubernetes.io/not-ready" not in said.split()


def connect_pods(lab: Lab) -> None:
    """Give each node its own part of the pods' addresses, and routes to the parts of the others.

    The network in the lab's node image is made for a single node. A node that was started again has
    lost its routes.
    """
    said = run([*users_kubectl(lab), "get", "nodes", "--output=json"], env=lab.environment).stdout
    nodes = {
        one["metadata"]["name"]: (one["spec"]["podCIDR"], one["status"]["addresses"][0]["address"])
        for one in json.loads(said)["items"]
    }
    network = json.loads(run(["docker", "exec", CONTROL_PLANE, "cat", _NETWORK]).stdout)
    for node, (pods, _) in nodes.items():
        network["plugins"][0]["ipam"]["ranges"] = [[_part(pods)]]
        write = ["docker", "exec", "--interactive", node, "cp", "/dev/stdin", _NETWORK]
        run(write, stdin=json.dumps(network))
        routes = [
            f"route replace {theirs} via {address}\n"
            for other, (theirs, address) in nodes.items()
            if other != node
        ]
        run(["docker", "exec", "--interactive", node, "ip", "-batch", "-"], stdin="".join(routes))


def _part(pods: str) -> dict[str, str]:
    """Return a range for the plugin host-local, with the mask of the whole pod network.

    Packets that leave the network of a pod get the node's address, by which no NetworkPolicy
    recognises the pod.
    """
    part = ipaddress.ip_network(pods)
    return {
        "subnet": _PODS, "gateway": str(part[1]), "rangeStart": str(part[2]),
        "rangeEnd": str(part[-2]),
    }  # fmt: skip


def enforce_policies(lab: Lab) -> None:
    """Install, as the cluster's owner, what enforces NetworkPolicy on each node: the node image's
    network does not."""
    kubectl = users_kubectl(lab)
    objects = list(yaml.safe_load_all((PROJECT / ENFORCER).read_text()))
    pod = next(one for one in objects if one["kind"] == "DaemonSet")["spec"]["template"]["spec"]
    for container in pod["containers"]:
        # The other variables say that the API server is on the same node, as it is in the lab's own
        # clusters, which have one node.
        container["env"] = [one for one in container["env"] if one["name"] == "NODE_NAME"]
    text = yaml.safe_dump_all(objects)
    run([*kubectl, "create", "--filename", "-"], env=lab.environment, stdin=text)
    rollout = ("rollout", "status", "daemonset/kube-router", "--timeout=120s")
    run([*kubectl, "--namespace", "kube-system", *rollout], env=lab.environment)


def lab_on_three_nodes(name: str, folder: Path) -> AbstractContextManager[Lab]:
    """Return `hand_made_lab` on a cluster with two nodes for pods."""
    return hand_made_lab(name, folder, workers=2)


@contextmanager
def hand_made_lab(name: str, folder: Path, *, workers: int) -> Iterator[Lab]:
    """Make a cluster that enforces policies, and yield a lab on it that is not up yet.

    The lab's Git server is to listen where the nodes reach it. Both are removed afterwards.

    + workers: how many nodes there are besides the control plane
    """
    data = {"git_bind": address_of_this_machine()}
    with hand_made_cluster(name, folder, data, workers=workers) as lab:
        enforce_policies(lab)
        yield lab


@contextmanager
def hand_made_cluster(
    name: str,
    folder: Path,
    data: Mapping[str, Any],
    *,
    workers: int = 0,
    shared: Mapping[Path, str] | None = None,
) -> Iterator[Lab]:
    """Make a cluster, and yield a lab that is to use it and is not up yet. Both are removed
    afterwards.

    + data: the settings in the lab file besides those of the cluster
    + workers: how many nodes there are besides the control plane
    + shared: folders of this machine, and their paths on every node
    """
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = folder / "users-own-kubeconfig"
    cluster = {"cluster_provider": "existing", "kubeconfig": str(kubeconfig), "context": CONTEXT}
    lab = Lab(name, folder, {**cluster, **data})
    lab.remove()
    _remove_cluster()
    try:
        _create_cluster(lab, workers, shared or {})
        yield lab
    finally:
        lab.remove()
        _remove_cluster()


def as_instructor(lab: Lab, given: Sequence[Mapping[str, Any]]) -> Lab:
    """Return the lab with the kubeconfig of an account that has these ClusterRoles, and no other
    rights."""
    account = {"kind": "ServiceAccount", "name": "instructor", "namespace": _INSTRUCTORS}
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": _INSTRUCTORS}},
        {
            "apiVersion": "v1", "kind": "ServiceAccount",
            "metadata": {"name": account["name"], "namespace": _INSTRUCTORS},
        },
    ]  # fmt: skip
    for role in given:
        version, name = role["apiVersion"], role["metadata"]["name"]
        reference = {"apiGroup": version.partition("/")[0], "kind": role["kind"], "name": name}
        binding = {"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name}}
        made += [dict(role), {**binding, "roleRef": reference, "subjects": [account]}]
    kubectl = users_kubectl(lab)
    text = yaml.safe_dump_all(made)
    run([*kubectl, "create", "--filename", "-"], env=lab.environment, stdin=text)
    asked = ("create", "token", account["name"], "--namespace", _INSTRUCTORS, "--duration", "12h")
    token = run([*kubectl, *asked], env=lab.environment).stdout
    own = yaml.safe_load(Path(str(lab.data["kubeconfig"])).read_text())
    own["users"] = [{"name": account["name"], "user": {"token": token}}]
    for one in own["contexts"]:
        one["context"]["user"] = account["name"]
    file = lab.folder / "instructors-kubeconfig"
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(own))
    return Lab(lab.name, lab.folder, {**lab.data, "kubeconfig": str(file)})


def _remove_cluster() -> None:
    run(["docker", "rm", "--force", "--volumes", *NODES], check=False)
    run(["docker", "network", "rm", CLUSTER], check=False)


def identities(kubectl: list[str], lab: Lab) -> str:
    """Return the names and uids of nodes and namespaces: no other cluster or node has the same."""
    text = "jsonpath={range .items[*]}{.metadata.name} {.metadata.uid}{'\\n'}{end}"
    return run([*kubectl, "get", "nodes,namespaces", "--output", text], env=lab.environment).stdout


def users_kubectl(lab: Lab) -> list[str]:
    """Return the words with which every call of kubectl by the user's own kubeconfig begins."""
    return ["kubectl", "--kubeconfig", str(lab.data["kubeconfig"]), "--context", CONTEXT]
