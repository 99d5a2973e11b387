"""The steps about a lab's format: which labs are left alone, and how an older one is taken over."""

from __future__ import annotations

from sopslab.checks.takeover import FORMAT
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import lab


@step(Step.VERSION)
def refuse_other(settings: Settings) -> None:
    """Refuse a lab of a newer product, and one that has to be taken over first."""
    lab.compatibility(name="Check the lab's format", settings=settings, oldest=FORMAT)


@step(Step.FORMAT)
def take_over(settings: Settings) -> None:
    """Bring a lab's files to this product's format, and note how long the lab is to stay."""
    lab.format(name="Bring the lab to this format", settings=settings)
    lab.lease(name="Note how long the lab is to stay", settings=settings)
