"""The state of the lab's kind cluster, and who gets in without credentials of the cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from sopslab.config.naming import network_name, node_name
from sopslab.config.places import Lab
from sopslab.lab.tools.docker import inspected_containers, labelled_containers, try_docker
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.locks import locked
from sopslab.lab.tools.programs import Failed
from sopslab.model.kind import ClusterState, Limits, Owner
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

LOCK_S = 300
_SERVER = re.compile(rb'^ *server: ([^" \n]*)$', re.MULTILINE)
_STRANGE = {
    "User": re.compile(r"system:(anonymous$|bootstrap:)"),
    "Group": re.compile(r"system:(unauthenticated$|bootstrappers)"),
}
_LIMITS = "cat /var/lib/kubelet/config.yaml; systemctl show -p CPUQuotaPerSecUSec system.slice"
_PIDS = re.compile(r"^podPidsLimit: *([0-9]+)$", re.MULTILINE)
# systemd writes a span of time as in systemd.time(7), such as `1min 30s`; `_UNITS` are in seconds.
_QUOTA = re.compile(r"^CPUQuotaPerSecUSec=(.*)$", re.MULTILINE)
_SPAN = re.compile(r"([0-9.]+)(min|s|ms|us)\b")
_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
# This role only shows health and version, so everybody may have it.
_PUBLIC = "system:public-info-viewer"
_TOKENS = (
    "get", "secrets", "--namespace", "kube-system", "--output", "name",
    "--field-selector", "type=bootstrap.kubernetes.io/token",
)  # fmt: skip


def node_label(lab: Lab) -> str:
    """Return the label that kind gives the nodes of the lab's cluster."""
    return f"io.x-k8s.kind.cluster={lab.lab}"


def lock_file(lab: Lab) -> str:
    """Return the lock file that a run holds while it works on the cluster."""
    return f"{lab.lab_dir}/.cluster.lock"


def cluster_state(lab: Lab) -> ClusterState:
    """Return the state of the cluster.

    A killed run may have left `kind create` running, which still holds the lock. So first wait for
    the lock, in order not to look at a cluster that is being created. Raises LabError if this takes
    longer than 300 seconds.
    """
    if Path(lab.lab_dir).is_dir():
        with locked(
            lock_file(lab), LOCK_S, "another run has been working on the cluster for 300 s"
        ):
            pass
    nodes = inspected_containers(*labelled_containers(node_label(lab)))
    recorded = read(f"{lab.lab_dir}/node-id") or b""
    kubeconfig = read(lab.lab_kubeconfig) or b""
    return standing(
        nodes,
        recorded.decode("ascii", "replace").strip(),
        [server.decode("utf-8", "replace") for server in _SERVER.findall(kubeconfig)],
        network_name(lab.lab),
        lab.engine_host,
    )


def standing(
    nodes: Sequence[Any],
    recorded: str,
    servers: Sequence[str],
    network: str,
    engine_host: str | None,
) -> ClusterState:
    """Return the state of a cluster.

    + nodes: the containers of its nodes, as Docker describes them
    + recorded: the container's id of the node that was completed, "" if none was
    + servers: the addresses of API servers in the lab's kubeconfig
    + network: the name of the lab's network
    + engine_host: the machine that runs the containers, if it is another one
    """
    if not nodes:
        return ClusterState(Owner.NOBODY, stray="was left behind" if recorded else "")
    node, status = nodes[0], str(nodes[0]["State"]["Status"])
    if any(network not in one["NetworkSettings"]["Networks"] for one in nodes):
        return ClusterState(Owner.FOREIGN, status)
    published = (node["HostConfig"]["PortBindings"] or {}).get("6443/tcp") or []
    return ClusterState(
        Owner.LAB,
        status,
        complete=[one["Id"] for one in nodes] == [recorded],
        stray=_stray(published, servers, engine_host),
        address=next((port["HostIp"] for port in published), ""),
        image=node["Config"]["Image"],
    )


def _stray(
    published: Sequence[Mapping[str, str]], servers: Sequence[str], engine_host: str | None
) -> str:
    """Return what is wrong with a kubeconfig, "" if nothing is.

    + published: where Docker publishes the port of the node's API server
    + servers: the addresses of API servers in the kubeconfig
    """
    wanted = [f"https://{engine_host or port['HostIp']}:{port['HostPort']}" for port in published]
    if not wanted or list(servers) == wanted:
        return ""
    return "led elsewhere" if servers else "was missing"


def node_limits(lab: Lab) -> Limits | None:
    """Return the limits of the lab's node, None if no node is running."""
    said = try_docker("exec", node_name(lab.lab), "sh", "-ec", _LIMITS, patience=20)
    return limits_in(said.text, len(os.sched_getaffinity(0))) if said.code == 0 else None


def limits_in(said: str, cpus: int) -> Limits:
    """Return the limits in the kubelet's configuration and in the answer of systemd.

    + said: both of these texts
    + cpus: the number of the machine's processors, of which the share is a part
    """
    pids, quota = _PIDS.search(said), _QUOTA.search(said)
    spans = _SPAN.findall(quota[1]) if quota else []
    seconds = sum(float(number) * _UNITS[unit] for number, unit in spans)
    return Limits(pids=int(pids[1]) if pids else 0, share=round(100 * seconds / cpus))


def stranger_bindings(lab: Lab) -> list[str]:
    """Return the objects that give access to people without credentials of the cluster: bindings
    and bootstrap tokens, each as its kind and name. Return nothing if the cluster does not
    answer."""
    # Imported here, because this import takes a fifth of the program's start.
    from concurrent.futures import ThreadPoolExecutor

    if not has_content(lab.lab_kubeconfig):
        return []
    kube = Kubectl(lab)
    names: list[str] = []
    with ThreadPoolExecutor(1) as executor:
        tokens = executor.submit(bootstrap_tokens, kube)
        with suppress(Undecided):
            found = strange_bindings(kube)
            names += [f"{one['kind']} {one['metadata']['name']}" for one in found]
        with suppress(Failed):
            names += [token.replace("secret/", "Secret ", 1) for token in tokens.result()]
    return sorted(names)


def bootstrap_tokens(kube: Kubectl) -> list[str]:
    """Return kubeadm's bootstrap tokens, each as `secret/<name>`. Raises Failed."""
    return kube.run("--request-timeout", "20s", *_TOKENS).decode().split()


def strange_bindings(kube: Kubectl) -> list[Object]:
    """Return the bindings that give strangers a right, each without these subjects. Raises
    Undecided."""
    return without_strangers(kube.list("clusterrolebindings,rolebindings"))


def without_strangers(bindings: Iterable[Object]) -> list[Object]:
    """Return the bindings that give strangers a right, each without these subjects. A stranger has
    no credentials of the cluster, or only a bootstrap token."""
    return [
        {
            "apiVersion": one["apiVersion"],
            "kind": one["kind"],
            "metadata": {
                key: one["metadata"][key] for key in ("name", "namespace") if key in one["metadata"]
            },
            "roleRef": one["roleRef"],
            "subjects": [each for each in one["subjects"] if not _is_strange(each)],
        }
        for one in bindings
        if one["roleRef"]["name"] != _PUBLIC and any(map(_is_strange, one.get("subjects") or ()))
    ]


def _is_strange(subject: Mapping[str, str]) -> bool:
    strange = _STRANGE.get(subject["kind"])
    return strange is not None and strange.match(subject["name"]) is not None
