"""`sopslab rotate`: make what leaked worthless, and prove it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from sopslab.cli import completing
from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    asked_secret,
    deploy_or_exit,
    json_option,
    lab_or_exit,
    own_ids_argument,
    planned_or_exit,
    problems_or_exit,
    say_who_has_ended,
    show_plan,
)
from sopslab.config.enrolled import named_environments, read_enrolled, strangers
from sopslab.errors import InputError, LabError
from sopslab.incidents.rotation.given import render_values
from sopslab.model.incidents import Cause, incident_path
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.settings import Settings
    from sopslab.incidents.rotation.record import Rotation


@dataclass(frozen=True)
class _Asked:
    """The arguments of a rotation: its learners, and which values leaked or were typed."""

    cause: Cause
    incident: str
    learners: tuple[str, ...]
    exposed: tuple[str, ...]
    given: tuple[str, ...]

    def data(self) -> dict[str, object]:
        """Return the arguments as data of the deploy."""
        return {
            "cause": str(self.cause),
            "incident": self.incident,
            "learners": json.dumps(self.learners),
            "exposed": json.dumps(self.exposed),
            "given": json.dumps(self.given),
        }


@click.command(cls=RoomVerb, named=True)
@click.argument(
    "cause",
    type=click.Choice([str(cause) for cause in Cause]),
    metavar="CAUSE",
    help="What leaked, as above.",
)
@own_ids_argument
@click.option("--all", "everybody", is_flag=True, help="Everybody in the class.")
@click.option(
    "--incident",
    metavar="ID",
    help="The incident it belongs to; without it, one is opened.",
    shell_complete=completing.incidents,
)
@click.option(
    "--exposed",
    multiple=True,
    metavar="NAME[/KEY]",
    help="A Secret, or one value of it, that leaked; with value-exposed; may be repeated.",
)
@click.option(
    "--value",
    "given",
    multiple=True,
    metavar="NAME/KEY",
    help="Ask for this value instead of making one up; without a terminal, each is read as a line"
    " of standard input; may be repeated.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask before it begins.")
@json_option
def rotate(
    cause: str,
    ids: tuple[str, ...],
    everybody: bool,
    incident: str | None,
    exposed: tuple[str, ...],
    given: tuple[str, ...],
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Make what leaked worthless, and prove that it opens nothing any more.

    \b
    CAUSE is what leaked:
    value-exposed    values, as in a commit in plain text: new ones, and another data key
    learner-key      the identity of an environment, from a machine: a new one, and new values
    cluster-key      the same identity, from sops-age in the cluster: the same
    instructor-key   the instructor's identity: a new one, and every file and value of everybody
    git-credential   a learner's password of the Git server: a new one, and another for Flux

    Flux can decrypt at any moment during it. After an interruption, run it again: it goes on where
    it was. A leak cannot be undone: old values stay readable in the history of Git.

    Exit code 4: some environments could not be finished, and are named; 20: some values have to be
    made by a person.
    """
    settings = lab_or_exit(
        {
            "cause": cause, "learners": ids, "incident": incident, "exposed": exposed,
            "given": given,
        },
        as_json=as_json,
    )  # fmt: skip
    with problems_or_exit(as_json=as_json):
        asked = _asked(settings, Cause(cause), everybody)
        values = {} if dry_run else _values(asked.given)
    if dry_run:
        _show(settings, asked, as_json)
        return
    if not (yes or as_json):
        click.confirm(
            f"This replaces what leaked ({cause}) of {', '.join(asked.learners)}."
            " What leaked stays in the archive and in Git's history. Go on?",
            abort=True,
        )
    result = deploy_or_exit(
        "deploys/rotate.py", settings, asked.data(), as_json, stdin=render_values(values)
    )
    say_who_has_ended(settings, asked.learners)
    echo(
        f"\nWhat leaked is worth nothing any more ({counted(result.changed, 'change')},"
        f" {result.seconds:.1f} s): docs/incidents/{asked.incident}.yaml of the platform"
        " repository says what was done, and what stays exposed for ever.\n"
        "Other clones, and one here that has changes of its own, follow with: git pull --rebase",
    )


def _asked(settings: Settings, cause: Cause, everybody: bool) -> _Asked:
    """Return the arguments of the rotation that is under way, or of a new one.

    Raises InputError with every problem in them.
    """
    seats = [seat.id for seat in read_enrolled(settings)]
    known = [*seats, settings.learner.id]
    problems = []
    learners = tuple(dict.fromkeys(settings.learners))
    if everybody and learners:
        problems.append("--all goes without IDs")
    problems += strangers(learners, known)
    if cause is Cause.INSTRUCTOR_KEY:
        if learners:
            problems.append("instructor-key goes without IDs: it opens the files of everybody")
        learners = tuple(known)
    elif everybody:
        learners = tuple(seats) or (settings.learner.id,)
    exposed = tuple(dict.fromkeys((*settings.exposed, *settings.given)))
    if cause is not Cause.VALUE_EXPOSED:
        exposed = ()
        if settings.exposed:
            problems.append("--exposed goes with value-exposed: a key exposes all that it opens")
    if cause is Cause.GIT_CREDENTIAL:
        if settings.given:
            problems.append("--value goes with values, and git-credential has none")
        if settings.git_url is not None:
            problems.append(
                f"the passwords at {settings.git_url} are not the lab's: replace them there, then"
                " run `sopslab up`"
            )
    problems += [f"{name}: NAME/KEY is needed" for name in settings.given if "/" not in name]
    if problems:
        raise InputError(problems)
    return _continued(settings, cause, learners, exposed, seats)


def _continued(
    settings: Settings,
    cause: Cause,
    learners: tuple[str, ...],
    exposed: tuple[str, ...],
    seats: Sequence[str],
) -> _Asked:
    """Return the arguments of the rotation of this cause that is under way, or of a new one."""
    rotations = _rotations(settings)
    if settings.incident is not None:
        begun = rotations.get(settings.incident)
        if begun is not None and begun.cause is not cause:
            raise InputError([f"{begun.incident} is about {begun.cause}, and not {cause}"])
        # With instructor-key nobody is named, and learners who came later are no mistake.
        named = () if cause is Cause.INSTRUCTOR_KEY else learners
        if begun is not None and (others := _beyond(begun, named, exposed, settings.given)):
            raise InputError(
                [
                    f"{begun.incident} is not about {', '.join(others)}: without --incident,"
                    " another one is opened"
                ]
            )
    else:
        begun = next(
            (
                one
                for one in rotations.values()
                if one.cause is cause
                and not one.over
                and not _beyond(one, learners, exposed, settings.given)
            ),
            None,
        )
    if begun is not None:
        # Learners who were archived meanwhile have nothing left to rotate.
        left = tuple(one for one in begun.subjects if one in (*seats, settings.learner.id))
        return _Asked(cause, begun.incident, left, begun.exposed, settings.given)
    if not learners:
        if seats:
            raise InputError([f"name the learners concerned, or --all: {', '.join(seats)}"])
        learners = (settings.learner.id,)
    if cause is Cause.VALUE_EXPOSED and not exposed:
        exposed = _recorded_exposures(settings)
    if cause is Cause.VALUE_EXPOSED and not exposed:
        raise InputError(["name what leaked: --exposed NAME[/KEY], or --value NAME/KEY"])
    if settings.given and len(learners) > 1:
        raise InputError(["a value is given to one environment: name its ID"])
    incident = settings.incident or _free(rotations, cause)
    return _Asked(cause, incident, learners, exposed, settings.given)


def _beyond(
    rotation: Rotation, learners: Sequence[str], exposed: Sequence[str], given: Sequence[str]
) -> list[str]:
    """Return the learners and the values that a rotation is not about. A value that was given may
    be one of a Secret that it is about, or one that it has left to a person."""
    left = [name for names in rotation.pending.values() for name in names]
    fit = {name for name in given if name in left or name.partition("/")[0] in rotation.exposed}
    return [
        *(one for one in learners if one not in rotation.subjects),
        *(name for name in exposed if name not in {*rotation.exposed, *fit}),
    ]


def _recorded_exposures(settings: Settings) -> tuple[str, ...]:
    """Return the Secrets whose values leaked according to the incident's record, if there is
    one."""
    if settings.incident is None:
        return ()
    from sopslab.incidents.records import parse_incident

    path = Path(settings.platform_dir) / incident_path(settings.incident)
    try:
        incident = parse_incident(str(path), path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeError) as error:
        raise LabError(f"{path} cannot be read: {error}") from None
    # If a value leaked, all values of the Secret count as leaked.
    return tuple(dict.fromkeys(PurePosixPath(one.path).stem for one in incident.exposures))


def _free(rotations: Mapping[str, Rotation], cause: Cause) -> str:
    begun = f"{datetime.now(UTC).date()}-{cause}"
    names = [begun, *(f"{begun}-{number}" for number in range(2, len(rotations) + 3))]
    return next(name for name in names if name not in rotations)


def _rotations(settings: Settings) -> dict[str, Rotation]:
    """Return every rotation on record on this machine."""
    # Modules that read, plan and validate are imported where they are used, because the help does
    # not need them.
    from sopslab.incidents.rotation.record import parse_rotation

    found = {}
    for path in sorted(Path(settings.lab_dir, "rotations").glob("*.yaml")):
        try:
            rotation = parse_rotation(str(path), path.read_text(encoding="utf-8"))
        except (OSError, UnicodeError) as error:
            raise LabError(f"{path} cannot be read: {error}") from None
        found[rotation.incident] = rotation
    return found


def _values(names: Sequence[str]) -> dict[str, str]:
    """Return the values by name, as `asked_secret` does. Raises InputError if one is empty."""
    values = {name: asked_secret(name, confirm=True) for name in names}
    empty = [f"{name}: no value was given" for name, value in values.items() if not value]
    if empty:
        raise InputError(empty)
    return values


def _planned(settings: Settings, asked: _Asked) -> dict[str, list[str]]:
    from sopslab.incidents.rotation.record import Rotation
    from sopslab.lab.rotation import plan_rotation

    today = datetime.now(UTC).date()
    new = Rotation(asked.incident, asked.cause, today, asked.learners, asked.exposed)
    rotation = _rotations(settings).get(asked.incident, new)
    return plan_rotation(settings, named_environments(settings, asked.learners), rotation)


def _show(settings: Settings, asked: _Asked, as_json: bool) -> None:
    from sopslab.incidents.rotation.phases import MEANING, PHASES

    plan = planned_or_exit(lambda: _planned(settings, asked), as_json)
    phases = {str(phase): MEANING[phase] for phase in PHASES[asked.cause]}
    if as_json:
        told = {"incident": asked.incident, "phases": phases, "plan": plan}
        echo_json({"ok": True, "changed": 0, **told})
        return
    echo(f"{asked.cause}, incident {asked.incident}")
    for phase, meaning in phases.items():
        echo(f"  {phase}: {meaning}")
    show_plan(plan, "no file changes")
