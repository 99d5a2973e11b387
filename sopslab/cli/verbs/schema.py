"""`sopslab schema`: what an editor needs to check a file while it is written."""

from __future__ import annotations

import json

import click

from sopslab.cli.terminal import echo_json
from sopslab.config.schemas import lab_schema, roster_schema

_SCHEMAS = {"roster": roster_schema, "lab": lab_schema}


@click.command()
@click.argument(
    "file",
    type=click.Choice(list(_SCHEMAS)),
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
    echo_json(json.dumps(_SCHEMAS[file](), indent=2))
