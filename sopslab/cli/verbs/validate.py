"""`sopslab validate`: what Flux would make of a repository; the hook flux-kustomize-validate."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import json_option
from sopslab.config.inputs import local_settings
from sopslab.config.tools import find_tools
from sopslab.errors import LabError

# pre-commit sets this variable. It stashes changes that are not staged, but not untracked files.
_COMMITTING = "PRE_COMMIT"


@click.command()
@click.argument(
    "path",
    required=False,
    type=click.Path(path_type=Path),
    metavar="[PATH]",
    help="The top of the repository; without it, of the Git repository you are in.",
)
@json_option
def validate(path: Path | None, as_json: bool) -> None:
    """Build every overlay of a repository as Flux would, and check the result.

    Nothing is fetched, and no value of a Secret is shown.

    Exit code: 0 clean, 1 findings, 2 could not decide.
    """
    # Imported here, because the help does not need it.
    from sopslab.validation import engine, report, schema_store
    from sopslab.validation.tree import read_tree, work_tree_around

    find_tools("flux", "kubeconform")
    try:
        root = work_tree_around(Path.cwd()) if path is None else path
        tree = read_tree(root, committing=bool(os.environ.get(_COMMITTING)))
        answer = engine.validate(tree, lambda: schema_store.schema_dir(local_settings()))
    except LabError as error:
        answer = engine.Answer(undecided=[str(error)])
    if as_json:
        echo_json(report.as_dict(answer))
    else:
        echo(report.as_text(answer))
    sys.exit(answer.exit_code)
