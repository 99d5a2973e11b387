"""`sopslab support`: a file for people who help, without secrets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from typing_extensions import override

from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import json_option, problems_or_exit, settings_or_exit
from sopslab.model.words import counted


class _Support(RoomVerb):
    """The verb in a room: a file from each seat."""

    @override
    def at_seats(
        self, params: Mapping[str, Any], words: Sequence[str], wanted: Sequence[str]
    ) -> None:
        from sopslab.cli.room_support import bring_or_exit

        bring_or_exit(wanted, as_json=params["as_json"])


@click.command(cls=_Support)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Where to write it, instead of sops-lab-<lab>-<time>.tar.gz here.",
)
@json_option
def support(output: Path | None, as_json: bool) -> None:
    """Collect logs and state for somebody who helps with this lab, without secrets.

    Logs and times of the last runs, versions, events, Flux's objects and its controllers' logs, and
    what `status`, `verify` and `doctor` say. Every secret that the lab knows is taken out:
    identities, passwords, tokens, client keys, and the values of all Secrets in the cluster. Of a
    cluster that the lab did not make, only the lab's own namespaces are looked into. Look through
    it before you pass it on: names and addresses, those of learners too, stay in it.
    """
    # Imported here, because the help does not need it.
    from sopslab.lab.support.report import make_report

    settings = settings_or_exit(as_json=as_json)
    with problems_or_exit(as_json=as_json):
        made = make_report(settings, output, datetime.now(UTC))
    if as_json:
        answer = {
            "ok": True, "report": str(made.path), "redacted": made.redacted,
            "missing": list(made.missing),
        }  # fmt: skip
        echo_json(answer)
        return
    echo(f"{made.path}: redacted in {counted(made.redacted, 'place')}")
    for sentence in made.missing:
        echo(f"  not in it: {sentence}")
