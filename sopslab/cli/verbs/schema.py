"""`sopslab schema`: JSON Schemas, by which editors check files while they are written."""

from __future__ import annotations

import click

from sopslab.cli.terminal import echo_json


@click.command()
@click.argument(
    "file",
    type=click.Choice(["roster", "lab"]),
    metavar="FILE",
    help="`roster`, the learners of a class in YAML, or `lab`, the settings of a lab.",
)
def schema(file: str) -> None:
    """Print the JSON Schema of a FILE, for editors.

    \b
    sopslab schema roster > roster.schema.json
    and as the first line of the roster
    # yaml-language-server: $schema=roster.schema.json

    `sopslab up` has the last word: rules about two values at once are in no schema.
    """
    # Imported here: it takes long, and the help does not need it.
    from sopslab.config.schemas import lab_schema, roster_schema

    echo_json(roster_schema() if file == "roster" else lab_schema())
