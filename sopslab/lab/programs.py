"""Programs that are asked something. Values reach them by standard input only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.settings import Settings
from sopslab.model.results import Undecided

PATIENCE = 20.0  # seconds for each program


@dataclass(frozen=True)
class Answer:
    """What a program said; of its errors only the code is kept, since they may quote input."""

    code: int
    out: bytes = b""

    @property
    def text(self) -> str:
        """Its output as text, without the newline at the end."""
        return os.fsdecode(self.out).rstrip("\n")


def ask(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    stdin: bytes = b"",
    patience: float = PATIENCE,
) -> Answer:
    """Return what a program answers. Raises Undecided if it cannot be run or does not end."""
    name = Path(argv[0]).name
    try:
        done = subprocess.run(
            list(argv),
            env=dict(environment),
            cwd=folder,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=patience,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Undecided(f"{name} did not answer within {patience:g} s") from None
    except OSError as error:
        raise Undecided(f"{name} cannot be run: {error.strerror}", "sopslab up") from None
    return Answer(done.returncode, done.stdout)


def kubectl(settings: Settings, *arguments: str) -> list[str]:
    """Return the command that asks the lab's cluster something."""
    return [
        str(Path(settings.bin_dir) / "kubectl"), "--kubeconfig", settings.lab_kubeconfig,
        "--context", settings.lab_context, "--request-timeout", "8s", *arguments,
    ]  # fmt: skip


def lab_environment(settings: Settings) -> dict[str, str]:
    """Return an environment with the lab's tools and nothing of the user's: no SOPS_*, no HOME."""
    return {
        "PATH": f"{settings.bin_dir}{os.pathsep}{os.defpath}",
        "HOME": "/nonexistent",
        # kubectl would make a folder for its cache even there, as root.
        "KUBECACHEDIR": settings.kube_cache,
        "LC_ALL": "C",
    }


def git_environment() -> dict[str, str]:
    """Return the user's own environment for Git, without what would point it elsewhere.

    The user's configuration stays: it decides which hooks Git runs and what it ignores.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        # Looking must not write: `git status` would refresh the index.
        "GIT_OPTIONAL_LOCKS": "0",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "GIT_GRAFT_FILE": "/dev/null/none",
        "LC_ALL": "C",
    }


def keep_to_the_lab(settings: Settings) -> None:
    """Take from this process's environment what would point Git or sops elsewhere, and name the
    scanner."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "SOPS_")) or name == "KUBECONFIG":
            del os.environ[name]
    os.environ["SOPSLAB_GITLEAKS"] = f"{settings.bin_dir}/gitleaks"
