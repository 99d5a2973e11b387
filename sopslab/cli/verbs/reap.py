"""`sopslab reap`: take down labs that CI jobs have left, and end access that has expired."""

from __future__ import annotations

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial

import click

from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import json_option, settings_or_exit
from sopslab.config.enrolment import SEATS_AS_THEY_ARE
from sopslab.config.inputs import LOCAL
from sopslab.errors import Exit
from sopslab.run import reaping


@click.command()
@click.option("--dry-run", is_flag=True, help="Say what would be done, and change nothing.")
@json_option
def reap(dry_run: bool, as_json: bool) -> None:
    """Take down every lab of this root whose lease has ended, with its keys and Git data.

    Run it from time to time on a machine with CI jobs: a job that was killed leaves its lab. Only
    labs with the setting `lease` have a lease, such as those of inventories/ci.py. A lab that is
    being worked on stays, and so does the store.

    In the class of the lab that the settings name, it ends the access of learners whose time
    (`expires`) is over, as `sopslab up` does; days later (`grace`) it archives their environments.
    Run it from time to time with the settings of that lab, so that this is done in time.

    Exit code 1: a lab could not be taken down, or an access could not be ended; it is named.
    """
    # The verb is about all labs of the root, so the inventory of the present job does not matter.
    settings = settings_or_exit(SEATS_AS_THEY_ARE, as_json=as_json, inventory=LOCAL)
    now = datetime.now(UTC)
    if dry_run:
        reaped = reaping.reap(settings.root, now, lambda _lab: [], settings.docker_host)
        reaping.end_access(reaped, settings, lambda: [])
    else:
        reaped = reaping.reap(settings.root, now, reaping.take_down, settings.docker_host)
        reaping.end_access(reaped, settings, partial(reaping.expire, settings))
    code = reaped.stopped or (Exit.FAILED if reaped.failed else Exit.OK)
    if as_json:
        told = asdict(reaped)
        del told["stopped"]
        echo_json({"ok": code is Exit.OK, "dry_run": dry_run, **told})
    else:
        for lab in reaped.gone:
            echo(f"{lab} {'would be' if dry_run else 'is'} taken down")
        for seat in reaped.suspended:
            echo(f"the access of {seat} {'would be ended' if dry_run else 'has ended'}")
        for seat in reaped.archived:
            echo(f"what {seat} had {'would be' if dry_run else 'is'} archived")
        for lab, reason in reaped.stays.items():
            echo(f"{lab} stays: {reason}")
        for lab, reason in reaped.failed.items():
            echo(f"{lab} could not be reaped: {reason}", err=True)
        if reaped.stopped:
            echo("stopped; the same command goes on from here", err=True)
    sys.exit(code)
