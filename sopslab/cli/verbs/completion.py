"""`sopslab completion`: what a shell needs to complete words."""

from __future__ import annotations

import click
from click.shell_completion import BashComplete, FishComplete, ZshComplete

from sopslab.cli.terminal import echo

_SHELLS = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(_SHELLS)), metavar="SHELL", help="As above.")
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print what SHELL needs to complete verbs, options, learners, faults and incidents.

    \b
    bash   in ~/.bashrc                   eval "$(sopslab completion bash)"
    zsh    in ~/.zshrc, after compinit    eval "$(sopslab completion zsh)"
    fish   in ~/.config/fish/config.fish  sopslab completion fish | source
    """
    command = context.find_root().command
    echo(_SHELLS[shell](command, {}, "sopslab", "_SOPSLAB_COMPLETE").source())
