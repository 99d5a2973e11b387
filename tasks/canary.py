"""The step that proves the lab: a secret that was pushed encrypted is in the cluster, decrypted."""

from __future__ import annotations

from pyinfra.api import deploy

from sopslab.layout import KUSTOMIZATION, NAMESPACE
from sopslab.operations import flux
from sopslab.settings import Settings


@deploy("Canary")
def prove_canary(settings: Settings) -> None:
    """Wait for the canary, and name the broken link if it does not arrive."""
    flux.canary(
        name="Wait for Flux to decrypt lab-canary",
        settings=settings,
        source=settings.learner.id,
        kustomization=KUSTOMIZATION,
        namespace=NAMESPACE,
    )
