"""What Flux builds right now: facts about the one lock that all builds of a cluster share."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.command import lab_script
from sopslab.facts.parsing import parsing
from sopslab.settings import Settings
from sopslab.verification.judgement.cluster import Build, build_of

# Of sources what they read last; of Kustomizations what they are at, and since when.
_TEMPLATE = (
    "{{range .items}}{{$o := .}}{{$m := .metadata}}"
    '{{if eq .kind "GitRepository"}}{{printf "source\\t%s\\t%s\\t" $m.namespace $m.name}}'
    '{{with .status.artifact}}{{.revision}}{{end}}{{"\\n"}}{{else}}{{range .status.conditions}}'
    '{{if eq .type "Reconciling"}}'
    '{{printf "build\\t%s\\t%s\\t%s\\t" $m.namespace $m.name $o.spec.sourceRef.name}}'
    '{{printf "%s\\t%s\\n" .lastTransitionTime .message}}{{end}}{{end}}{{end}}{{end}}'
)
_LOOK = """
[ -s "$KUBECONFIG" ] || exit 0
timeout 20 kubectl --context "$LAB_CONTEXT" get --all-namespaces --output "go-template=$1" \\
    gitrepositories.source.toolkit.fluxcd.io,kustomizations.kustomize.toolkit.fluxcd.io \\
    2>/dev/null || true
"""


@dataclass(frozen=True)
class Building:
    """A Kustomization whose build has not ended.

    `current` says that its source still has that commit, so that a new build would be the same.
    """

    namespace: str
    name: str
    build: Build
    current: bool


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
        sources: dict[tuple[str, str], str] = {}
        builds = []
        rows = [line.split("\t") for line in output]
        for row in rows:
            if row[0] == "source" and len(row) == 4:
                sources[row[1], row[2]] = row[3].rpartition(":")[2]
        for row in rows:
            build = build_of(row[-1], row[-2]) if row[0] == "build" and len(row) == 6 else None
            if build is not None:
                _, namespace, name, source, *_ = row
                current = sources.get((namespace, source)) == build.commit
                builds.append(Building(namespace, name, build, current))
        return sorted(builds, key=lambda one: (one.build.since, one.namespace))
