"""What Flux was told to leave alone, and by whom."""

from __future__ import annotations

from dataclasses import dataclass

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.provision.command import lab_script
from sopslab.provision.facts.parsing import parsing

_LOOK = """
[ -s "$KUBECONFIG" ] || exit 0
kubectl --context "$LAB_CONTEXT" --request-timeout 20s get --all-namespaces --output "$1" \\
    gitrepositories.source.toolkit.fluxcd.io,kustomizations.kustomize.toolkit.fluxcd.io \\
    2>/dev/null || true
"""
# The annotation is what `sopslab rotate` leaves on what it suspends for a moment.
_LINES = (
    "jsonpath={range .items[?(@.spec.suspend==true)]}"
    "{.kind} {.metadata.namespace} {.metadata.name} {.metadata.annotations.sops-lab/suspended-by}"
    '{"\\n"}{end}'
)


@dataclass(frozen=True)
class Suspended:
    """An object of Flux that is suspended; `by` is the verb of ours that did it, if one did."""

    kind: str
    namespace: str
    name: str
    by: str = ""

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class SuspendedObjects(FactBase[list[Suspended]]):
    """
    Returns the sources and Kustomizations of the cluster that are suspended.

    .. code:: python

        [Suspended("Kustomization", "flux-system", "secrets-develop")]
    """

    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return lab_script(settings, _LOOK, _LINES)

    @override
    @parsing
    def process(self, output: list[str]) -> list[Suspended]:
        return [Suspended(*line.split()) for line in output if line.strip()]
