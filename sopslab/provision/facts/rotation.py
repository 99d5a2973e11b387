"""Facts about how far a rotation is. What is decrypted for them stays in the program that looks."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.incidents.rotation.plan import Version
from sopslab.incidents.rotation.record import Rotation, parse_rotation
from sopslab.lab.observe import clones, encrypted, leaked, live, settling
from sopslab.model.repositories import CloneStanding
from sopslab.model.rotation import Delivered, LiveValue, LoginState
from sopslab.provision.command import looking, script
from sopslab.provision.facts.parsing import LabFact, parsing


def record_file(settings: Settings) -> str:
    """Return where the rotation that the settings name is remembered."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.yaml"


class Remembered(FactBase[Rotation | None]):
    """
    Returns the rotation that the settings name, or None before it has begun.
    """

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script('[ ! -s "$1" ] || cat "$1"', record_file(settings))

    @override
    @parsing
    def process(self, output: list[str]) -> Rotation | None:
        try:
            return parse_rotation("the record of the rotation", "\n".join(output) + "\n")
        except InputError as error:
            raise ValueError(str(error)) from None


def logins_dir(settings: Settings) -> str:
    """Return where passwords that leaked are kept until they are proven to be worth nothing."""
    return f"{settings.lab_dir}/rotations/{settings.incident}.logins"


class LeakedLogins(LabFact[dict[str, LoginState]]):
    """
    Returns what became of the passwords that leaked, for users of the Git server.
    """

    look = leaked.logins
    default = dict

    @override
    def command(self, settings: Settings, users: list[str]) -> StringCommand:
        return looking(settings, leaked.logins, kept=logins_dir(settings), users=users)


class Versions(LabFact[dict[str, dict[str, Version]]]):
    """
    Returns what is encrypted in commits of learners' repositories, by learner and commit. A commit
    that is not there is left out.

    + commits: those of each learner
    """

    look = encrypted.versions
    default = dict

    @override
    def command(
        self, settings: Settings, environments: list[Environment], commits: dict[str, list[str]]
    ) -> StringCommand:
        return looking(settings, encrypted.versions, environments=environments, commits=commits)


class PastVersions(LabFact[dict[str, dict[str, list[str]]]]):
    """
    Returns what files held in commits up to a given one, by learner and path.

    + commits: the commit of each learner
    + paths: the files of each
    """

    look = encrypted.past_versions
    default = dict

    @override
    def command(
        self,
        settings: Settings,
        environments: list[Environment],
        commits: dict[str, str],
        paths: dict[str, list[str]],
    ) -> StringCommand:
        return looking(
            settings,
            encrypted.past_versions,
            environments=environments,
            commits=commits,
            paths=paths,
        )


class Archived(LabFact[dict[str, str]]):
    """
    Returns the identities that were archived: public key, and file.
    """

    look = leaked.archived
    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, leaked.archived)


class LiveValues(LabFact[dict[str, dict[str, LiveValue]]]):
    """
    Returns whether the cluster has what main of a repository says, by learner and path. A file that
    cannot be opened is left out.

    + files: those of each learner
    """

    look = live.live_values
    default = dict

    @override
    def command(
        self, settings: Settings, environments: list[Environment], files: dict[str, list[Delivered]]
    ) -> StringCommand:
        return looking(settings, live.live_values, environments=environments, files=files)


class Settling(LabFact[list[str]]):
    """
    Returns the learners whose Kustomization is being reconciled, or has not yet met the key that
    the cluster has now.
    """

    look = settling.settling
    default = list

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return looking(settings, settling.settling, environments=environments)


class Consumers(LabFact[dict[str, list[str]]]):
    """
    Returns what has read a Secret at its start and was not restarted for this incident, for each
    learner: workloads that take it into their environment. Flux restarts none of them.

    .. code:: python

        {"ada": ["deployment/web"]}

    + secrets: the Secrets that have other values now, by learner
    """

    look = live.consuming
    default = dict

    @override
    def command(
        self, settings: Settings, environments: list[Environment], secrets: dict[str, list[str]]
    ) -> StringCommand:
        return looking(
            settings,
            live.consuming,
            environments=environments,
            incident=settings.incident or "",
            secrets=secrets,
        )


class CloneBehind(LabFact[CloneStanding | None]):
    """
    Returns how the learner's clone stands to main of the repository, None where there is none.
    """

    look = clones.standing

    @override
    def command(self, settings: Settings, environment: Environment) -> StringCommand:
        return looking(settings, clones.standing, environment=environment)
