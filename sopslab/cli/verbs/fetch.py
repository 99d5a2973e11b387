"""`sopslab fetch`: get every tool and image before they are needed."""

from __future__ import annotations

import click

from sopslab.cli.room_verb import in_room
from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    install_docker_option,
    json_option,
    problems_or_exit,
    settings_or_exit,
)
from sopslab.config.inputs import LOCAL
from sopslab.model.words import counted


@click.command()
@click.option("--key", is_flag=True, help="Only print the key for a cache of the store.")
@json_option
@install_docker_option
def fetch(key: bool, as_json: bool, install_docker: bool) -> None:
    """Fill the store with every tool and image, and start nothing.

    `sopslab up` begins with the same. Run it on its own before a class, while there is time and a
    network. After an interruption it goes on where it was.
    """
    data: dict[str, object] = {"install_docker": True} if install_docker else {}
    # The machines of a room are sent what the controller has.
    inventory = LOCAL if in_room() else None
    settings = settings_or_exit(data, as_json=as_json, inventory=inventory)
    if key:
        from sopslab.artifacts.catalog import load_catalog

        with problems_or_exit(as_json=as_json):
            echo(load_catalog(settings.catalog).digest)
        return
    result = deploy_or_exit("deploys/fetch.py", settings, data, as_json, inventory)
    echo(f"The store {settings.store} is full ({counted(result.changed, 'change')})")
