"""`sopslab env`: use the lab from a shell."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import click

from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import settings_or_exit
from sopslab.config.inputs import CHOOSING


@click.command()
def env() -> None:
    """Print the lab's variables for a shell: eval "$(sopslab env)".

    PATH gets the lab's sops, age, kubectl, flux and kind in front; KUBECONFIG is the lab's own;
    SOPS_AGE_KEY_FILE is the identity of the environment. Variables that choose the lab, such as
    SOPSLAB_ROOT, keep their present values.
    """
    settings = settings_or_exit()
    # The folder of the Python environment, with the `sopslab` that pipx or uv links to. pre-commit
    # is in it, too.
    own = str(Path(sys.executable).parent)
    values = {
        "KUBECONFIG": settings.lab_kubeconfig,
        "SOPS_AGE_KEY_FILE": f"{settings.keys_dir}/{settings.learner.id}.agekey",
        "PRE_COMMIT_HOME": f"{settings.lab_dir}/pre-commit",
        **{name: os.environ[name] for name in CHOOSING if name in os.environ},
    }
    echo(f'export PATH={shlex.quote(settings.bin_dir)}:{shlex.quote(own)}:"$PATH"')
    for key, value in values.items():
        echo(f"export {key}={shlex.quote(value)}")
