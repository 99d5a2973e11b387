"""What Flux builds right now: facts about the one lock that all builds of a cluster share."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.checks.verification.cluster import Build, build_of
from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script
from sopslab.provision.facts.parsing import parsing

# What Kustomizations are at, and since when.
_TEMPLATE = (
    "{{range .items}}{{$o := .}}{{$m := .metadata}}{{range .status.conditions}}"
    '{{if eq .type "Reconciling"}}'
    '{{printf "%s\\t%s\\t%s\\t" $m.namespace $m.name $o.spec.sourceRef.name}}'
    '{{printf "%s\\t%s\\t%s\\n" .reason .lastTransitionTime .message}}{{end}}{{end}}{{end}}'
)
_LOOK = """
[ -s "$KUBECONFIG" ] || exit 0
timeout 20 kubectl --context "$LAB_CONTEXT" get --all-namespaces --output "go-template=$1" \\
    kustomizations.kustomize.toolkit.fluxcd.io 2>/dev/null || true
"""


@dataclass(frozen=True)
class Building:
    """A Kustomization whose build has not ended, and the GitRepository that it is built from."""

    namespace: str
    name: str
    source: str
    build: Build


class Builds(FactBase[list[Building]]):
    """
    Returns the builds that have not ended, the oldest first: it is the one that holds the lock.
    """

    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return lab_script(settings, _LOOK, _TEMPLATE)

    @override
    @parsing
    def process(self, output: list[str]) -> list[Building]:
        builds = []
        for row in (line.split("\t") for line in output):
            if len(row) != 6:
                continue
            namespace, name, source, reason, since, message = row
            build = build_of({"reason": reason, "lastTransitionTime": since, "message": message})
            if build is not None:
                builds.append(Building(namespace, name, source, build))
        return sorted(builds, key=lambda one: (one.build.since, one.namespace))
