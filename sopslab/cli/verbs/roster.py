"""`sopslab roster`: the learners of a class, from what other programs export."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import end, problems_or_exit, settings_or_exit
from sopslab.config.inputs import EXAMPLE_ROSTER, LOCAL
from sopslab.errors import Exit, InputError
from sopslab.model.words import counted

if TYPE_CHECKING:
    from sopslab.config.column_choice import Columns, Named, Question
    from sopslab.config.roster_import import Proposal
    from sopslab.config.tables import Table

_YAML = (".yaml", ".yml")


@click.group()
def roster() -> None:
    """Make the roster of a class from an export, or check one.

    `sopslab up inventories/classroom.py --roster FILE` makes the class.
    """


@roster.command("import")
@click.argument("file", type=click.Path(), metavar="FILE", help="The table.")
@click.option("--id-from", metavar="COLUMN", help="The column with logins.")
@click.option(
    "--name-from",
    multiple=True,
    metavar="COLUMN",
    help="The column with names; repeated, or with commas, its parts in their order.",
)
@click.option("--email-from", metavar="COLUMN", help="The column with addresses.")
@click.option("--group-from", metavar="COLUMN", help="The column with groups.")
@click.option(
    "--into",
    type=click.Path(),
    metavar="ROSTER",
    help="A roster to add to; learners on it keep their ids.",
)
@click.option(
    "--output",
    type=click.Path(),
    metavar="ROSTER",
    help="Where to write; without it the roster of --into, or class.yaml.",
)
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@click.option("--yes", is_flag=True, help="Write without asking.")
def import_(
    file: str,
    id_from: str | None,
    name_from: tuple[str, ...],
    email_from: str | None,
    group_from: str | None,
    into: str | None,
    output: str | None,
    force: bool,
    yes: bool,
) -> None:
    """Make a roster of the table FILE: an export of Moodle, Canvas, GitHub Classroom or the like,
    or a spreadsheet saved as text.

    CSV or TSV, separated by commas, semicolons, tabs or vertical bars; UTF-8, UTF-16 with a byte
    order mark, or Windows-1252. Columns are recognised by their headers in many languages. A
    COLUMN is named by its header or its number, and `-` means none; if it is not clear which column
    is meant, the command asks.

    What will be written is shown, and you are asked to confirm it. With --into, people in FILE who
    are not on the roster are added to it; those who are on it are recognised by address or, without
    one, by login or name. Comments in the roster are lost.
    """
    from sopslab.config.column_choice import Named
    from sopslab.config.roster import read_roster
    from sopslab.config.roster_import import MOST_ROWS, propose, render
    from sopslab.config.tables import read_table

    named = Named(id_from, name_from, email_from, group_from)
    target = Path(output or into or "class.yaml")
    with problems_or_exit(as_json=False):
        _refuse_target(target, into, force)
        known = read_roster(into) if into else []
        table = read_table(file, MOST_ROWS)
        columns = _columns(table, named, ask=not yes and on_terminal())
        proposal = propose(table, columns, known)
        text = render(proposal.learners)
    _show(table, columns, proposal)
    _agree_or_exit(target, len(proposal.learners), yes)
    _write_or_exit(target, text)
    echo(
        f"{target} has {counted(len(proposal.learners), 'learner')}; make the class with"
        f" `sopslab up inventories/classroom.py --roster {target}`"
    )


@roster.command()
@click.argument("file", type=click.Path(), metavar="FILE", help="The roster, in YAML or CSV.")
def check(file: str) -> None:
    """Read the roster FILE as `up --roster` does, and say how many it has, or all its problems.

    The settings of the lab count as well: a class is not for every lab. Exit code: 0 if `up` would
    take it, 2 if not.
    """
    from collections import Counter

    from sopslab.config.roster import read_roster, without_machines

    with problems_or_exit(as_json=False):
        rows = read_roster(file)
    settings_or_exit({"seats": without_machines(rows)}, inventory=LOCAL)
    groups = Counter(row["group"] for row in rows)
    alone = groups.pop(None, 0)
    echo(f"{file}: {counted(len(rows), 'learner')}, {counted(len(groups), 'group')}")
    for group, size in groups.items():
        echo(f"  {size:>4}  {group}")
    if groups and alone:
        echo(f"  {alone:>4}  without a group")
    if machines := sum("host" in row for row in rows):
        echo(f"  {machines:>4}  with a machine of their own")


@roster.command()
@click.option("--csv", "as_csv", is_flag=True, help="The form in CSV, for a file ending in .csv.")
def template(as_csv: bool) -> None:
    """Print a roster to fill in, with comments on each field."""
    if as_csv:
        echo(_example_as_csv(), nl=False)
    else:
        echo(EXAMPLE_ROSTER.read_text(encoding="utf-8"), nl=False)


def on_terminal() -> bool:
    """Return whether there is a terminal at which to ask."""
    return sys.stdin.isatty()


def _refuse_target(target: Path, into: str | None, force: bool) -> None:
    """Raise InputError if the roster cannot be written to its place."""
    if target.suffix.lower() not in _YAML:
        raise InputError(
            [f"{target}: the roster is YAML: name a file ending in .yaml with --output"]
        )
    same = into is not None and target.resolve() == Path(into).resolve()
    if target.exists() and not (same or force):
        raise InputError(
            [
                f"{target}: is there already: --into adds to it, --force replaces it, and --output"
                " names another file"
            ]
        )


def _columns(table: Table, named: Named, ask: bool) -> Columns:
    """Return the columns to use, and ask about those that are not clear.

    Raises InputError if columns are unclear and nobody can be asked, or if an answer is no column.
    """
    from sopslab.config.column_choice import UnclearColumns, choose

    try:
        return choose(table, named)
    except UnclearColumns as unclear:
        if not ask:
            raise
        for question in unclear.questions:
            named = _asked(table, named, question)
    return choose(table, named)


def _asked(table: Table, named: Named, question: Question) -> Named:
    from sopslab.config.column_choice import NO_COLUMN

    for column in question.candidates:
        echo(f"{column + 1:>4}  {table.header.values[column] or '(without a header)'}")
    needed = question.key == "name"
    several = "; several with commas, in their order" if needed else f"; {NO_COLUMN} for none"
    answer = click.prompt(f"Which column is the {question.key}? Its number{several}")
    return named.answering(question.key, answer)


def _show(table: Table, columns: Columns, proposal: Proposal) -> None:
    from sopslab.cli.console import Console
    from sopslab.cli.roster_display import people, reading, remarks

    for sentence in reading(table, columns):
        echo(sentence)
    console = Console()
    console.make_room()
    console.print()
    console.print(people(proposal))
    console.print()
    for sentence in remarks(proposal):
        echo(sentence)


def _agree_or_exit(target: Path, learners: int, yes: bool) -> None:
    if yes:
        return
    if not on_terminal():
        end(
            Exit.INPUT,
            [f"{target} is not written: --yes writes what is shown, and nobody can be asked here"],
            as_json=False,
        )
    echo(f"{target} will have {counted(learners, 'learner')}.")
    click.confirm("Write it?", abort=True)


def _write_or_exit(target: Path, text: str) -> None:
    from sopslab.files.privatefile import write_private

    try:
        write_private(target, text.encode())
    except OSError as error:
        end(Exit.INPUT, [f"{target}: cannot be written: {error.strerror}"], as_json=False)


def _example_as_csv() -> str:
    import csv
    import io

    from sopslab.config.roster import read_roster
    from sopslab.config.roster_values import LEARNER

    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, LEARNER, lineterminator="\n")
    writer.writeheader()
    writer.writerows(read_roster(str(EXAMPLE_ROSTER)))
    return text.getvalue()
