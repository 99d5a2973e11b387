"""`sopslab down`: take the lab down."""

from __future__ import annotations

import click

from sopslab.cli.room_verb import RoomVerb
from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import deploy_or_exit, json_option, settings_or_exit
from sopslab.model.words import counted


@click.command(cls=RoomVerb)
@click.option("--purge", is_flag=True, help="Remove keys, Git data, the store and its images, too.")
@click.option("--yes", is_flag=True, help="Do not ask before --purge, nor in a room.")
@json_option
def down(purge: bool, yes: bool, as_json: bool) -> None:
    """Take the lab down: containers, network, firewall rules, kubeconfig.

    Keys, Git data and the store stay, so that the next `sopslab up` brings the same lab back. It
    may be run twice, and on a lab that is half made.
    """
    settings = settings_or_exit(as_json=as_json)
    if purge and not yes:
        click.confirm(
            f"This removes the keys and the Git data of the lab {settings.lab} and, if no other lab"
            f" needs them, every tool and image, all below {settings.root}. Without the keys,"
            " nothing that was encrypted to them can ever be read again. Go on?",
            abort=True,
            err=True,
        )
    data = {"purge": True} if purge else {}
    result = deploy_or_exit("deploys/teardown.py", settings, data, as_json)
    echo(f"The lab {settings.lab} is down ({counted(result.changed, 'change')})")
