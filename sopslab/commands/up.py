"""`sopslab up`: make the lab."""

from __future__ import annotations

import sys

import click
from rich.console import Console

from sopslab.commands import deploy_or_exit, json_option, settings_or_exit
from sopslab.layout import CANARY_PATH
from sopslab.runner import Result
from sopslab.settings import Settings


@click.command()
@json_option
@click.option("--force", is_flag=True, help="Go on although the machine is too small.")
@click.option(
    "--key-from",
    type=click.Choice(["store", "cluster"]),
    help="Which key is right, when the store's and the cluster's differ or one is gone.",
)
def up(as_json: bool, force: bool, key_from: str | None) -> None:
    """Make the lab, or bring it back to what it should be.

    Everything is checked and only what differs is changed: a second run changes nothing. A run that
    was interrupted is continued by the next one.
    """
    data: dict[str, object] = {}
    if force:
        data["force"] = True
    if key_from is not None:
        data["key_from"] = key_from
    settings = settings_or_exit(data, as_json=as_json)
    console = Console(highlight=False)
    result = deploy_or_exit("deploy.py", settings, data, as_json, console)
    _say_what_is_up(console, settings, result)


def _say_what_is_up(console: Console, settings: Settings, result: Result) -> None:
    console.print(
        f"""
[bold]The lab {settings.lab} is up[/] ({result.changed} changes, {result.seconds:.1f} s)

  cluster       {settings.lab_context}, kubeconfig {settings.lab_kubeconfig}
  repository    {settings.git_base_url}/{settings.learner_repository}.git
  working copy  {settings.work_dir}
  canary        {CANARY_PATH} was decrypted by Flux

Next:
  eval "$({sys.argv[0]} env)"
  cd {settings.work_dir} && less lab.md""",
        soft_wrap=True,
    )
