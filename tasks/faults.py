"""The steps that break an environment to practise on, and those that undo it."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.course.faults import draw, injectable
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import faults, seats
from tasks.reset import begin_swept, chosen, delivered
from tasks.roster import enrolled, known_environments


@step(Step.FAULTS)
def inject_faults(settings: Settings) -> None:
    """Inject the named faults into the chosen environments, or the faults that an exam draws."""
    environments = chosen(settings)
    begin_swept("Begin to break", settings, environments)
    for environment in environments:
        faults.injection(
            # The label must not tell what an exam has drawn.
            name=f"Break the environment of {environment.id}",
            settings=settings,
            environment=environment,
            faults=wanted(settings, environment),
        )


def wanted(settings: Settings, environment: Environment) -> Sequence[str]:
    """Return the faults that the settings name, or that their exam draws."""
    if settings.exam is None:
        return settings.faults
    among = injectable(seat=environment.is_seat, in_class=bool(enrolled(settings)))
    return draw(settings.exam, settings.exam_faults, among)


@step(Step.FAULTS)
def undo_faults(settings: Settings) -> None:
    """Undo the injected faults in the chosen environments, or in all if no learner is named."""
    environments = _environments(settings)
    begin_swept("Begin to fix", settings, environments)
    faults.removal(name="Undo what was injected", settings=settings, environments=environments)


@step(Step.FLUX)
def deliver_again(settings: Settings) -> None:
    """Have Flux apply what the repositories hold, and forget what was injected."""
    environments = _environments(settings)
    faults.reconciliation(
        name="Have Flux apply the repositories",
        settings=settings,
        environments=delivered(settings, environments),
    )
    faults.records(name="Forget the faults", settings=settings, environments=environments)


@step(Step.CLASS)
def report_fix(settings: Settings) -> None:
    """Name the environments that are not in order although nothing is injected any more."""
    seats.report(
        name="Report the environments",
        settings=settings,
        seats=[environment.id for environment in _environments(settings)],
    )


def _environments(settings: Settings) -> list[Environment]:
    if settings.learners:
        return chosen(settings)
    return list(known_environments(settings).values())
