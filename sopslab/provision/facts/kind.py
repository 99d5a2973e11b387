"""Facts about kind clusters."""

from __future__ import annotations

import re

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.naming import node_name
from sopslab.config.settings import Settings
from sopslab.lab.observe import kind
from sopslab.model.kind import ClusterState, Limits, Owner
from sopslab.provision.command import looking, script
from sopslab.provision.facts.parsing import LabFact, parsing

# As systemd writes spans of time (systemd.time(7)), in seconds.
_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


class KindCluster(LabFact[ClusterState]):
    """
    Returns how the kind cluster of a lab stands, as a `ClusterState`.
    """

    look = kind.cluster

    @staticmethod
    @override
    def default() -> ClusterState:
        return ClusterState(Owner.NOBODY)

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, kind.cluster)


class Strangers(LabFact[list[str]]):
    """
    Returns the objects of a lab's cluster that let in somebody without credentials of the cluster,
    or that a node would join it with, each as its kind and name; nothing of a cluster that does not
    answer.

    .. code:: python

        ["ClusterRoleBinding kubeadm:node-autoapprove-bootstrap", "Secret bootstrap-token-abcdef"]
    """

    look = kind.strangers
    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, kind.strangers)


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
