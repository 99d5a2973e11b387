"""Facts about kind clusters."""

from __future__ import annotations

import re

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.naming import node_name
from sopslab.config.settings import Settings
from sopslab.model.kind import Limits
from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing

# As systemd writes spans of time (systemd.time(7)), in seconds.
_UNITS = {"min": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}


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
