"""`sopslab credentials`: which credentials there are, and which are due to be replaced."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    json_option,
    lab_or_exit,
    own_id_argument,
    problems_or_exit,
    settings_or_exit,
)
from sopslab.cli.verbs.incident import today
from sopslab.config.enrolled import named_environments, read_environments
from sopslab.lab.tools.programs import keep_to_the_lab

if TYPE_CHECKING:
    from rich.table import Table

    from sopslab.config.settings import Settings
    from sopslab.incidents.credentials import Entry
    from sopslab.incidents.records import Incident

_STYLES = {"exposed": "red", "overdue": "red", "soon": "yellow", "later": "dim"}


@click.group(invoke_without_command=True)
@click.option("--all", "everything", is_flag=True, help="Also what is not due yet.")
@json_option
@click.pass_context
def credentials(context: click.Context, everything: bool, as_json: bool) -> None:
    """List the credentials that are due, the most urgent first.

    Exposed by an open incident: due now. Overdue: older than its rotation class allows (monthly 30
    days, quarterly 90, yearly 365). Soon: within 14 days. What the lab itself has is found each
    time; what only you know is put on record with `sopslab credentials record FILE`.
    """
    if context.invoked_subcommand is not None:
        return
    settings = settings_or_exit(as_json=as_json)
    found, _ = _entries_or_exit(settings, as_json)
    shown = [one for one in found if everything or one.is_due]
    if as_json:
        echo_json({"ok": True, "credentials": [_as_plain(one) for one in shown]})
        return
    if not shown:
        echo(f"none of {len(found)} credentials is due within 14 days")
        return
    from sopslab.cli.console import Console

    console = Console()
    console.make_room()
    console.print(_table(shown))


@credentials.command()
@own_id_argument
def plan(ids: tuple[str, ...]) -> None:
    """Print the rotation plan of the learner ID, with what is due and what leaked filled in.

    It is the learner's rotation-plan.md: redirect it there, go on with it, and commit it.
    """
    from sopslab.incidents.plan import render_plan

    settings = settings_or_exit()
    with problems_or_exit(as_json=False):
        environments = named_environments(settings, ids)
    found, incidents = _entries_or_exit(settings, as_json=False)
    for environment in environments:
        echo(render_plan(environment, found, incidents), nl=False)


@credentials.command()
@click.argument("file", type=click.Path(dir_okay=False), metavar="FILE", help="The list, as YAML.")
@json_option
def record(file: str, as_json: bool) -> None:
    """Record FILE as the list of credentials that the lab cannot know.

    It lies in the platform repository as docs/credentials.yaml, and holds no value.
    """
    from sopslab.config.inputfile import read_text
    from sopslab.incidents.credentials import (
        CREDENTIALS_FILE,
        parse_credentials,
        render_credentials,
    )

    settings = lab_or_exit(as_json=as_json)
    with problems_or_exit(as_json=as_json):
        text = render_credentials(parse_credentials(file, read_text(file, "list of credentials")))
    data = {"records": json.dumps({CREDENTIALS_FILE: text})}
    deploy_or_exit("deploys/record.py", settings, data, as_json)


def _entries_or_exit(settings: Settings, as_json: bool) -> tuple[list[Entry], list[Incident]]:
    # Imported here, because the help does not need it.
    from sopslab.incidents.credentials import entries
    from sopslab.lab.incidents.derived import derived_credentials
    from sopslab.lab.observe.incidents import read_credentials, read_incidents

    keep_to_the_lab(settings)
    with problems_or_exit(as_json=as_json):
        environments = list(read_environments(settings).values())
        known = [*read_credentials(settings), *derived_credentials(settings, environments)]
        incidents = list(read_incidents(settings).values())
    return entries(known, incidents, today()), incidents


def _as_plain(entry: Entry) -> dict[str, object]:
    credential = entry.credential
    return {
        "id": credential.id,
        "where": credential.where,
        "owner": credential.owner,
        "rotation": credential.rotation.value,
        "rotated": credential.rotated.isoformat(),
        "due": entry.due.isoformat(),
        "urgency": entry.urgency.value,
        "incident": entry.incident,
    }


def _table(shown: list[Entry]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for name in ("", "due", "credential", "where", "owner", "incident"):
        table.add_column(name, overflow="fold")
    for one in shown:
        credential = one.credential
        cells = (credential.id, credential.where, credential.owner, one.incident or "")
        table.add_row(
            Text(one.urgency, _STYLES[one.urgency]), one.due.isoformat(), *map(Text, cells)
        )
    return table
