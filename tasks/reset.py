"""The steps of a reset: put environments back to a checkpoint, and touch no other."""

from __future__ import annotations

from datetime import UTC, datetime

from sopslab.checks.reset import saved_branch
from sopslab.config.environment import Environment, solo
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import (
    age,
    builds,
    drill,
    git,
    kubernetes,
    lab,
    reset,
    seats,
)
from tasks.canary import await_canaries
from tasks.flux import give_secrets
from tasks.learners import commit_hook
from tasks.roster import counted, enrolment_of, kept_environments

# The branch on which this run keeps what it overwrites.
_SAVED = saved_branch(datetime.now(UTC))


@step(Step.GIT)
def reset_repositories(settings: Settings) -> None:
    """Put repositories back, and the clone of the learner on this machine."""
    environments = chosen(settings)
    lab.beginning(name="Begin a reset", settings=settings, unknown=unknown(settings, environments))
    end_drills(settings, environments)
    reset.repositories(
        name=f"Put {counted(environments)} back to {settings.checkpoint}",
        settings=settings,
        environments=environments,
        checkpoint=settings.checkpoint,
        saved=_SAVED,
    )
    for environment in alone(environments):
        git.clone(
            name="Clone the learner's repository",
            settings=settings,
            repository=environment.repository,
            hook=commit_hook(settings),
        )
        reset.clone(
            name="Put the clone back",
            settings=settings,
            environment=environment,
            checkpoint=settings.checkpoint,
            saved=_SAVED,
        )


def end_drills(settings: Settings, environments: list[Environment]) -> None:
    """Remove staged leaks: what is kept of them is in no history."""
    drill.end(name="End the drills", settings=settings, environments=environments, saved=_SAVED)


@step(Step.FLUX)
def reset_environments(settings: Settings) -> None:
    """Clear the namespaces, give back the keys, and have Flux apply what the repositories hold."""
    environments = chosen(settings)
    awake = delivered(settings, environments)
    builds.queue(name="Have no build hold up the others", settings=settings)
    reset.namespaces(name="Clear what Flux did not apply", settings=settings, environments=awake)
    if alone(environments):
        restore_solo(settings)
    give_secrets(settings, environments)
    deliver(settings, environments)
    # Until Flux saw the checkpoint, it may still have applied what was pushed earlier.
    reset.namespaces(name="Clear what came meanwhile", settings=settings, environments=awake)


def deliver(settings: Settings, environments: list[Environment]) -> None:
    """Wait until Flux has applied what the repositories hold."""
    reset.reconciliation(
        name="Have Flux apply the repositories",
        settings=settings,
        environments=delivered(settings, environments),
        checkpoint=settings.checkpoint,
    )


def restore_solo(settings: Settings) -> None:
    """Apply all of Flux's objects in a lab without a class, where nothing else restores them."""
    environment = solo(settings)
    age.identities(
        name="Compare the identity of the environment",
        settings=settings,
        keys={environment.key: environment},
    )
    kubernetes.manifests(
        name="Apply the sources and Kustomizations",
        settings=settings,
        path=f"{settings.manifests_dir}/sync.yaml",
    )


@step(Step.CANARY)
def prove_reset(settings: Settings) -> None:
    """Wait for the canaries of the environments."""
    await_canaries(settings, delivered(settings, chosen(settings)))


@step(Step.CLASS)
def report_environments(settings: Settings) -> None:
    """Name the chosen environments that have failed."""
    seats.report(
        name="Report the environments",
        settings=settings,
        seats=[environment.id for environment in chosen(settings)],
    )


def chosen(settings: Settings) -> list[Environment]:
    """Return the environments that the settings name, or the only one of a lab without a class."""
    known = kept_environments(settings)
    if not settings.learners and len(known) == 1:
        return list(known.values())
    return [known[name] for name in dict.fromkeys(settings.learners) if name in known]


def delivered(settings: Settings, environments: list[Environment]) -> list[Environment]:
    """Return the environments to which Flux delivers, so that a step can wait for it.

    Flux delivers nothing to learners whose access has ended, unless they get a later time.
    """
    shut = enrolment_of(settings).shut
    return [one for one in environments if one.id not in shut]


def begin_swept(name: str, settings: Settings, environments: list[Environment]) -> None:
    """Begin with environments, refuse learners who have none, and sweep up after a killed run."""
    lab.beginning(name=name, settings=settings, unknown=unknown(settings, environments))
    lab.leftovers(name="Sweep up after a killed run", settings=settings)


def unknown(settings: Settings, environments: list[Environment]) -> list[str]:
    """Return the learners whom the settings name, but who have no environment."""
    known = {environment.id for environment in environments}
    return [name for name in settings.learners if name not in known]


def alone(environments: list[Environment]) -> list[Environment]:
    """Return the environment of the learner on this machine, if it is one of `environments`."""
    return [one for one in environments if not one.is_seat]
