"""`sopslab incident`: the record of what leaked, from its discovery to its end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from sopslab.cli import completing
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    end,
    json_option,
    lab_or_exit,
    own_ids_argument,
    problems_or_exit,
    settings_or_exit,
)
from sopslab.config.enrolled import named_environments, read_environments
from sopslab.errors import Exit
from sopslab.lab.tools.programs import keep_to_the_lab
from sopslab.model.incidents import Cause, check_id
from sopslab.model.results import Undecided
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.environment import Environment
    from sopslab.config.settings import Settings
    from sopslab.incidents.records import Exposure, Incident, Upstream
    from sopslab.run.runner import Result

_identifier = click.argument(
    "identifier",
    metavar="INCIDENT",
    help="The id of a record: a date and words.",
    shell_complete=completing.incidents,
)
_upstream = click.option(
    "--upstream",
    multiple=True,
    metavar="WHAT",
    help="What has to be revoked elsewhere; may be repeated.",
)
_remains = click.option(
    "--remains",
    multiple=True,
    metavar="WHERE",
    help="Where the value stays exposed; may be repeated.",
)


def today() -> date:
    """Return today's date in UTC, which all records use."""
    return datetime.now(UTC).date()


@click.group(invoke_without_command=True)
@json_option
@click.pass_context
def incident(context: click.Context, as_json: bool) -> None:
    """List the incidents on record; with a command, open one, add to it, or close it.

    Records lie in the platform repository, in docs/incidents. They name repositories, commits,
    paths and keys, and never a value.
    """
    if context.invoked_subcommand is not None:
        return
    settings = settings_or_exit(as_json=as_json)
    known = _read(settings, as_json)
    if as_json:
        from sopslab.incidents.records import as_plain

        listed = [as_plain(one) for one in known.values()]
        echo_json({"ok": True, "incidents": listed})
        return
    if not known:
        echo("no incident is on record")
    for one in known.values():
        whom = ", ".join(one.subjects) or "everybody"
        state = "open" if one.closed is None else f"closed {one.closed}"
        echo(f"{one.id}  {one.cause}  {whom}  {_counted(one)}  {state}")


@incident.command("open")
@click.argument("words", metavar="WORDS", help="Its name, such as leaked-api-key.")
@own_ids_argument
@click.option(
    "--cause",
    type=click.Choice([cause.value for cause in Cause]),
    default=Cause.VALUE_EXPOSED.value,
    show_default=True,
    help="What leaked.",
)
@_upstream
@_remains
@json_option
def open_(
    words: str,
    ids: tuple[str, ...],
    cause: str,
    upstream: tuple[str, ...],
    remains: tuple[str, ...],
    as_json: bool,
) -> None:
    """Open the incident WORDS about the learners IDs.

    The whole history of their repositories is searched, and every place with a value in plain text
    or a key becomes part of the record, unless another incident has it. Opened again on the same
    day, the record takes in what is new.
    """
    # Modules that read, search and validate are imported here and in the functions below, because
    # the help does not need them.
    from sopslab.incidents.closing import remaining
    from sopslab.incidents.coverage import not_covered
    from sopslab.incidents.records import Incident
    from sopslab.lab.observe.incidents import read_incidents

    settings = lab_or_exit(as_json=as_json)
    keep_to_the_lab(settings)
    day = today()
    source = click.get_current_context().get_parameter_source("cause")
    is_told = source is not ParameterSource.DEFAULT
    try:
        identifier = check_id(f"{day}-{words}")
    except ValueError as error:
        end(Exit.INPUT, [f"{words!r:.60} cannot name an incident: {error}"], as_json=as_json)
    found: list[Exposure] = []
    unsearched: dict[str, str] = {}
    with problems_or_exit(as_json=as_json):
        known = read_incidents(settings)
        before = known.get(identifier)
        if before is not None and before.closed is not None:
            end(Exit.INPUT, [f"{identifier} is closed: choose other words"], as_json=as_json)
        if before is not None and is_told and cause != before.cause:
            sentence = f"{identifier} is open with the cause {before.cause}: choose other words"
            end(Exit.INPUT, [sentence], as_json=as_json)
        leaked = Cause(cause) if before is None else before.cause
        everybody = leaked is Cause.INSTRUCTOR_KEY and not ids
        environments = [] if everybody else named_environments(settings, ids)
        if leaked is Cause.VALUE_EXPOSED:
            found, unsearched = _searched(settings, environments)
    learners = tuple(one.id for one in environments if one.id not in unsearched)
    opened = before or Incident(identifier, leaked, learners, day)
    others = [one for one in known.values() if one.id != identifier]
    new = not_covered(found, others)
    record = replace(
        opened,
        subjects=_joined(opened.subjects, learners),
        exposures=tuple(sorted({*opened.exposures, *new})),
        upstream=_with_upstream(opened.upstream, upstream),
    )
    record = replace(
        record, remains=_joined(opened.remains, (*remaining(record.exposures), *remains))
    )
    left_out = [f"{who} is not in the record: {reason}" for who, reason in unsearched.items()]
    code = Exit.PARTIAL if left_out else Exit.OK
    _put(settings, record, as_json, lambda done: replace(done, code=code, problems=left_out))
    echo(f"the incident {record.id} is open, with {_counted(record)}")
    for one in record.exposures:
        named = ", ".join(one.keys) or "a value"
        echo(f"  {one.path} in commit {one.commit[:12]}: {named} [{one.rule}]")
    echo(f"Next: sopslab incident close {record.id}, which says what is still to be done")
    for sentence in left_out:
        echo(sentence, err=True)
    sys.exit(code)


@incident.command()
@_identifier
@_upstream
@click.option(
    "--revoked", multiple=True, metavar="WHAT", help="What is revoked now; may be repeated."
)
@_remains
@json_option
def note(
    identifier: str,
    upstream: tuple[str, ...],
    revoked: tuple[str, ...],
    remains: tuple[str, ...],
    as_json: bool,
) -> None:
    """Add to the record INCIDENT what has to be revoked, what is, or where a value stays exposed.

    Describe it, such as "the key at the payment provider", and never write a value.
    """
    settings = lab_or_exit(as_json=as_json)
    before = _one(settings, identifier, as_json)
    listed = _with_upstream(before.upstream, upstream)
    unknown = [what for what in revoked if what not in [one.what for one in listed]]
    if unknown:
        known = "; ".join(one.what for one in listed) or "nothing"
        end(
            Exit.INPUT,
            [
                f"{what!r:.80} is not on the list of what is to be revoked: {known}"
                for what in unknown
            ],
            as_json=as_json,
        )
    day = today()
    listed = tuple(
        replace(one, revoked=day) if one.what in revoked and one.revoked is None else one
        for one in listed
    )
    record = replace(before, upstream=listed, remains=_joined(before.remains, remains))
    _put(settings, record, as_json)
    echo(f"the incident {record.id} is updated")


@incident.command()
@_identifier
@json_option
def show(identifier: str, as_json: bool) -> None:
    """Show the record INCIDENT."""
    from sopslab.incidents.records import as_plain, render_incident

    settings = settings_or_exit(as_json=as_json)
    found = _one(settings, identifier, as_json)
    if as_json:
        echo_json(as_plain(found))
    else:
        echo(render_incident(found), nl=False)


@incident.command()
@_identifier
@json_option
def close(identifier: str, as_json: bool) -> None:
    """Close INCIDENT, if everything is done; otherwise say what is not, and change nothing.

    An exposed value must not be in use any more on main or in the cluster, which is compared by
    hash, and everything that was to be revoked elsewhere must be revoked.
    """
    from sopslab.incidents.closing import missing
    from sopslab.lab.incidents.values import gather

    settings = lab_or_exit(as_json=as_json)
    keep_to_the_lab(settings)
    found = _one(settings, identifier, as_json)
    with problems_or_exit(as_json=as_json):
        environments = list(read_environments(settings).values())
        evidence = gather(settings, environments, found.exposures)
    left = missing(found, evidence.uses)
    if left:
        end(Exit.FAILED, left, as_json=as_json)
    on_your_word = [
        f"the value in {one.path} could not be compared: that it was replaced is your word"
        for one in evidence.unknown
    ]
    record = replace(found, closed=found.closed or today())
    _put(
        settings, record, as_json,
        lambda done: replace(done, remarks=[*done.remarks, *on_your_word]),
    )  # fmt: skip
    for sentence in on_your_word:
        echo(sentence)
    echo(f"the incident {found.id} is closed; exposed for ever:")
    for sentence in found.remains or ("nothing that is known",):
        echo(f"  {sentence}")


def _searched(
    settings: Settings, environments: Sequence[Environment]
) -> tuple[list[Exposure], dict[str, str]]:
    """Return what the histories of learners' repositories hold, and why some could not be searched,
    by the learner's id. Raises Undecided if none could."""
    from sopslab.lab.incidents.history import find_exposures

    found: list[Exposure] = []
    unsearched: dict[str, str] = {}
    for one in environments:
        try:
            found += find_exposures(settings, one)
        except Undecided as reason:
            unsearched[one.id] = reason.found
    if len(unsearched) == len(environments) > 0:
        raise Undecided("; ".join(unsearched.values()))
    return found, unsearched


def _read(settings: Settings, as_json: bool) -> dict[str, Incident]:
    from sopslab.lab.observe.incidents import read_incidents

    with problems_or_exit(as_json=as_json):
        return read_incidents(settings)


def _one(settings: Settings, identifier: str, as_json: bool) -> Incident:
    known = _read(settings, as_json)
    if identifier not in known:
        there = f"on record are {', '.join(known)}" if known else "none is on record"
        end(Exit.INPUT, [f"there is no incident {identifier!r:.90}: {there}"], as_json=as_json)
    return known[identifier]


def _put(
    settings: Settings,
    record: Incident,
    as_json: bool,
    told: Callable[[Result], Result] | None = None,
) -> None:
    """Put a record into the platform repository, or end the command if that failed, or the record
    could not be read again from there.

    + told: as `deploy_or_exit` takes it
    """
    from sopslab.incidents.records import incident_file

    with problems_or_exit(as_json=as_json):
        path, text = incident_file(record)
    data = {"records": json.dumps({path: text})}
    deploy_or_exit("deploys/record.py", settings, data, as_json, told=told)


def _with_upstream(listed: Sequence[Upstream], more: Sequence[str]) -> tuple[Upstream, ...]:
    from sopslab.incidents.records import Upstream

    known = {one.what for one in listed}
    return (*listed, *(Upstream(what) for what in dict.fromkeys(more) if what not in known))


def _joined(listed: Sequence[str], more: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*listed, *more]))


def _counted(record: Incident) -> str:
    return counted(len(record.exposures), "exposure")
