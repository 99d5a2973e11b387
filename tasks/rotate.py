"""The steps of a rotation: new keys and new values, while Flux can decrypt all the time."""

from __future__ import annotations

from collections.abc import Mapping

from sopslab.config.settings import Settings
from sopslab.incidents.rotation.phases import Phase, replaces_keys, touches_files
from sopslab.model.incidents import Cause
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import logins, proof, reencryption, rotation
from tasks.flux import give_secrets
from tasks.git import run_in_cluster
from tasks.keys import trust_recipients
from tasks.reset import alone, begin_swept, chosen, deliver, delivered
from tasks.roster import kept_environments, known_environments


@step(Step.INVENTORY)
def take_inventory(settings: Settings) -> None:
    """Note what is to be replaced, and open the incident."""
    environments = chosen(settings)
    begin_swept("Begin a rotation", settings, environments)
    rotation.inventory(
        name="Note what is replaced",
        settings=settings,
        environments=environments,
        exposed=settings.exposed,
        known=list(kept_environments(settings)),
    )
    _ended(settings, Phase.INVENTORY)
    rotation.incident(name="Put the incident on record", settings=settings)


@step(Step.KEYS)
def accept_both(settings: Settings) -> None:
    """Make the new identities, and have the cluster and the Git server accept old and new ones."""
    if not replaces_keys(_cause(settings)):
        return
    rotation.successors(
        name="Make the identities that follow", settings=settings, environments=chosen(settings)
    )
    _ended(settings, Phase.IDENTITY)
    trust_recipients(settings)
    run_in_cluster(settings)
    _give_keys(settings)
    _ended(settings, Phase.OVERLAP)


@step(Step.FILES)
def replace_content(settings: Settings, given: Mapping[str, str]) -> None:
    """Give the files new recipients, data keys and values, and bring the clone up to date."""
    if not touches_files(_cause(settings)):
        return
    environments = chosen(settings)
    for label in ("Re-encrypt what leaked", "Re-encrypt what came meanwhile"):
        reencryption.files(name=label, settings=settings, environments=environments, given=given)
    for environment in alone(environments):
        reencryption.clone(
            name="Bring the clone up to date", settings=settings, environment=environment
        )
    _ended(settings, Phase.FILES)


@step(Step.FLUX)
def deliver_content(settings: Settings) -> None:
    """Have Flux apply the new files, check that the cluster holds them, and restart workloads that
    still run with an old value."""
    if not touches_files(_cause(settings)):
        return
    environments = chosen(settings)
    awake = delivered(settings, environments)
    deliver(settings, environments)
    proof.values(name="Compare the cluster with the files", settings=settings, environments=awake)
    _ended(settings, Phase.CONVERGED)
    proof.workloads(
        name="Restart what has read an old value", settings=settings, environments=awake
    )
    _ended(settings, Phase.RESTARTED)


@step(Step.KEYS)
def retire_old(settings: Settings) -> None:
    """Archive the old identities, and take them from the cluster and the Git server."""
    if not replaces_keys(_cause(settings)):
        return
    rotation.retirement(
        name="Archive the identities that leaked",
        settings=settings,
        environments=chosen(settings),
    )
    trust_recipients(settings)
    run_in_cluster(settings)
    _give_keys(settings)
    _ended(settings, Phase.RETIRED)


@step(Step.ACCESS)
def replace_logins(settings: Settings) -> None:
    """Replace the Git server's passwords, including that of Flux, who reads every repository."""
    if _cause(settings) is not Cause.GIT_CREDENTIAL:
        return
    logins.passwords(
        name="Replace the passwords that leaked",
        settings=settings,
        environments=chosen(settings),
    )
    run_in_cluster(settings)
    give_secrets(settings, list(known_environments(settings).values()))
    _ended(settings, Phase.LOGINS)


@step(Step.PROOF)
def prove(settings: Settings) -> None:
    """Prove that Flux works with what is new, and that what leaked opens nothing."""
    environments = chosen(settings)
    awake = delivered(settings, environments)
    proof.decryption(name="Have Flux decrypt once more", settings=settings, environments=awake)
    deliver(settings, environments)
    proof.attempts(
        name="Prove that what leaked opens nothing", settings=settings, environments=environments
    )
    logins.proof(
        name="Prove that the old passwords are refused",
        settings=settings,
        environments=awake,
    )
    _ended(settings, Phase.PROVEN)


@step(Step.INVENTORY)
def conclude(settings: Settings) -> None:
    """Note for whom the rotation is over, and close the incident if that is everybody."""
    rotation.conclusion(
        name="Note for whom it is over",
        settings=settings,
        environments=chosen(settings),
        given=settings.given,
    )
    rotation.incident(name="Put the incident on record", settings=settings)


@step(Step.VALUES)
def report_values(settings: Settings) -> None:
    """Name the values that are left to a human."""
    rotation.report(name="Report the values", settings=settings)


def _cause(settings: Settings) -> Cause:
    return Cause(settings.cause or "")


def _ended(settings: Settings, phase: Phase) -> None:
    rotation.phase_end(name=f"Note the end of the phase {phase}", settings=settings, phase=phase)


def _give_keys(settings: Settings) -> None:
    """Give the cluster the identities that the store has, while Flux is not at work."""
    _settle(settings)
    rotation.handover(
        name="Give the cluster the identities of the store",
        settings=settings,
        environments=chosen(settings),
    )
    _settle(settings)


def _settle(settings: Settings) -> None:
    proof.readiness(
        name="Let Flux come to its end",
        settings=settings,
        environments=delivered(settings, chosen(settings)),
    )
