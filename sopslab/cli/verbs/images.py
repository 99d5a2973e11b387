"""`sopslab images`: the lab's own images, for existing clusters to pull."""

from __future__ import annotations

import click

from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import (
    deploy_or_exit,
    end,
    install_docker_option,
    json_option,
    settings_or_exit,
)
from sopslab.config.inputs import LOCAL
from sopslab.errors import Exit
from sopslab.model.words import counted


@click.group()
def images() -> None:
    """Have the lab's own images in a registry."""


@images.command()
@json_option
@install_docker_option
def push(as_json: bool, install_docker: bool) -> None:
    """Push the Git server's image to the `registry` of the lab file, and record its digest.

    The image is the one that a lab runs on this machine, with its programs in it, and for
    processors of this machine's kind. What is not in the store yet is fetched first. Docker pushes,
    with the logins that it has (`docker login`). Run again, it changes nothing.
    """
    data: dict[str, object] = {"install_docker": True} if install_docker else {}
    settings = settings_or_exit(data, as_json=as_json, inventory=LOCAL)
    if settings.registry is None:
        problem = "registry: is missing: name one that the cluster pulls from in the lab file"
        end(Exit.INPUT, [problem], as_json=as_json)
    result = deploy_or_exit("deploys/push.py", settings, data, as_json, LOCAL)
    echo(f"{settings.registry} has the Git server's image ({counted(result.changed, 'change')})")
