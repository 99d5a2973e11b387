"""Facts about kind clusters."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Literal

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.naming import network_name, node_name
from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script, script
from sopslab.provision.facts.parsing import parsing

# As systemd writes spans of time (systemd.time(7)), in seconds.
_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}

# A run that was killed may have left `kind create` running: wait until it lets go of the lock, so
# that the cluster is looked at when it is either there or not.
_CLUSTER = """
if [ -d "$2" ]; then
    exec 9>"$2/.cluster.lock"
    flock --wait 300 9 || { say 'another run has worked on the cluster for 300 s'; exit 1; }
fi
printf '{"network":"%s"}\\n' "$3"
status='"status":{{json .State.Status}}' networks='"networks":{{json .NetworkSettings.Networks}}'
ports='"ports":{{json .HostConfig.PortBindings}}'
docker ps --all --quiet --filter "label=io.x-k8s.kind.cluster=$1" 2>/dev/null \\
    | xargs -r docker container inspect --format "{\\"id\\":{{json .Id}},$status,$networks,$ports}"
[ ! -s "$2/node-id" ] || printf '{"recorded":"%s"}\\n' "$(cat "$2/node-id")"
sed -n 's/^ *server: \\([^" ]*\\)$/{"server":"\\1"}/p' "$2/kubeconfig" 2>/dev/null || true
"""

# kubeadm's bootstrap tokens, and the bindings of those who have no credentials of the cluster or
# such a token: a JSON object a line, without these subjects. Health and version are public.
STRANGERS = """
kube() { timeout 60 kubectl --context "$LAB_CONTEXT" --request-timeout 20s "$@"; }
bootstrap_tokens() {
    kube get secrets --namespace kube-system --output name \\
        --field-selector type=bootstrap.kubernetes.io/token
}
strangers_bindings() {
    bindings=$(kube get clusterrolebindings,rolebindings --all-namespaces --output json) || return 1
    printf '%s' "$bindings" | jq --compact-output '
        def stranger:
            (.kind == "User" and (.name | test("^system:(anonymous$|bootstrap:)")))
            or (.kind == "Group" and (.name | test("^system:(unauthenticated$|bootstrappers)")));
        .items[]
        | select(any(.subjects[]?; stranger) and .roleRef.name != "system:public-info-viewer")
        | {apiVersion, kind, metadata: {name: .metadata.name, namespace: .metadata.namespace},
           roleRef, subjects: [.subjects[] | select(stranger | not)]}'
}
"""


@dataclass(frozen=True)
class ClusterState:
    """How the lab's cluster stands.

    `owner` is `nobody` (there is none), `lab`, or `foreign` (a node is not on this lab's network,
    which exists before any node of ours). `complete` tells whether `kind create` finished and left
    its mark for this very node. `status` is Docker's word for the node container. `stray` says what
    is wrong with the lab's kubeconfig, empty if it leads to the node. `address` is where the node's
    API server is published.
    """

    owner: Literal["nobody", "lab", "foreign"]
    status: str = ""
    complete: bool = False
    stray: str = ""
    address: str = ""


class KindCluster(FactBase[ClusterState]):
    """
    Returns how the kind cluster of a lab stands, as a `ClusterState`.
    """

    @staticmethod
    @override
    def default() -> ClusterState:
        return ClusterState(owner="nobody")

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(_CLUSTER, settings.lab, settings.lab_dir, network_name(settings.lab))

    @override
    @parsing
    def process(self, output: list[str]) -> ClusterState:
        lines = [dict(json.loads(line)) for line in output]
        nodes = [line for line in lines if "id" in line]
        recorded = next((line["recorded"] for line in lines if "recorded" in line), None)
        if not nodes:
            return ClusterState(owner="nobody", stray="was left behind" if recorded else "")
        (network,) = [line["network"] for line in lines if "network" in line]
        if any(network not in node["networks"] for node in nodes):
            return ClusterState(owner="foreign", status=nodes[0]["status"])
        return ClusterState(
            owner="lab",
            status=nodes[0]["status"],
            complete=[node["id"] for node in nodes] == [recorded],
            stray=_stray(nodes[0], [line["server"] for line in lines if "server" in line]),
            address=next((port["HostIp"] for port in _published(nodes[0])), ""),
        )


def _published(node: dict[str, Any]) -> list[dict[str, str]]:
    return (node.get("ports") or {}).get("6443/tcp") or []


def _stray(node: dict[str, Any], servers: list[str]) -> str:
    """Return what is wrong with a kubeconfig that names `servers`, given its node."""
    wanted = [f"https://{port['HostIp']}:{port['HostPort']}" for port in _published(node)]
    if not wanted or servers == wanted:
        return ""
    return "led elsewhere" if servers else "was missing"


class Strangers(FactBase[list[str]]):
    """
    Returns the objects of a lab's cluster that let in somebody without credentials of the cluster,
    or that a node would join it with, each as its kind and name; nothing of a cluster that does not
    answer.

    .. code:: python

        ["Secret bootstrap-token-abcdef", "ClusterRoleBinding kubeadm:node-autoapprove-bootstrap"]
    """

    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return lab_script(
            settings,
            STRANGERS
            + """
            [ -s "$KUBECONFIG" ] || exit 0
            { bootstrap_tokens | sed 's,^secret/,Secret ,' || true; } 2>/dev/null &
            strangers_bindings 2>/dev/null \\
                | jq --raw-output '"\\(.kind) \\(.metadata.name)"' || true
            wait
            """,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return sorted(output)


@dataclass(frozen=True)
class Limits:
    """What a node lets pods have: processes each, 0 for any number; what starts and ends them has a
    share of all processors, in percent (systemd.resource-control(5), CPUQuota), 0 for no limit.
    """

    pids: int
    share: int


class NodeLimits(FactBase[Limits | None]):
    """
    Returns the limits of a lab's node, and None without a node that runs.
    """

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(
            """
            timeout 20 docker exec "$1" sh -euc '
                sed -n "s/^podPidsLimit: *\\([0-9]*\\)$/pids \\1/p" /var/lib/kubelet/config.yaml
                systemctl show --property CPUQuotaPerSecUSec system.slice | sed "s/^[^=]*=/quota /"
            ' 2>/dev/null && echo "cpus $(nproc)" || true
            """,
            node_name(settings.lab),
        )

    @override
    @parsing
    def process(self, output: list[str]) -> Limits | None:
        found = dict(line.split(" ", 1) for line in output)
        if "cpus" not in found:
            return None
        quota = sum(
            float(number) * _UNITS[unit]
            for number, unit in re.findall(r"([0-9.]+)(min|s|ms|us)\b", found.get("quota", ""))
        )
        return Limits(pids=int(found.get("pids", 0)), share=round(100 * quota / int(found["cpus"])))
