"""A real lab that tests work on: how it is started, asked, broken and put back."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sopslab.labfile import read_lab_file
from sopslab.layout import PROJECT
from sopslab.naming import git_server_name, node_name
from sopslab.settings import Settings, load_settings

SOPSLAB = str(Path(sys.executable).parent / "sopslab")
# Names of our own variables; a test must not inherit what the developer's shell has set.
_OURS = ("SOPSLAB_LAB", "SOPSLAB_FILE", "SOPS_", "KUBECONFIG")


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    """Return when `condition` holds; fail with `what` was awaited after `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"after {seconds} s: {what}")
        time.sleep(0.1)


@dataclass
class Lab:
    """A lab under test. `folder` is the test's own; the lab's name and file are in it."""

    name: str
    folder: Path
    data: dict[str, Any]

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file = self.folder / f"{self.name}.yaml"
        self.data.setdefault("git_port", free_port())
        self.file.write_text(yaml.safe_dump({"lab": self.name, **self.data}))

    @property
    def base_environment(self) -> dict[str, str]:
        """The developer's environment without what would point at another lab."""
        kept = {key: value for key, value in os.environ.items() if not key.startswith(_OURS)}
        return {**kept, "SOPSLAB_FILE": str(self.file)}

    @property
    def settings(self) -> Settings:
        """What the lab is made of."""
        import runpy

        defaults = runpy.run_path(str(PROJECT / "group_data" / "all.py"))
        data = {key: value for key, value in defaults.items() if key in Settings.model_fields}
        return load_settings({**data, **read_lab_file(str(self.file))})

    @property
    def environment(self) -> dict[str, str]:
        """What `eval "$(sopslab env)"` makes of a shell's environment."""
        text = self.sopslab("env").stdout
        shell = subprocess.run(
            ["sh", "-c", 'eval "$1"; exec env -0', "sh", text],
            env=self.base_environment, capture_output=True, check=True,
        )  # fmt: skip
        pairs = [item.split("=", 1) for item in shell.stdout.decode().split("\0") if "=" in item]
        return dict(pairs)

    def sopslab(
        self, *arguments: str, check: bool = True, **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `sopslab` on this lab; `more` are variables for it."""
        return run([SOPSLAB, *arguments], env={**self.base_environment, **more}, check=check)

    def up(self, *arguments: str, check: bool = True, **more: str) -> dict[str, Any]:
        """Run `sopslab up --json` and return its object, with the exit code as `code`."""
        done = self.sopslab("up", "--json", *arguments, check=False, **more)
        answer: dict[str, Any] = {**json.loads(done.stdout), "code": done.returncode}
        if check and done.returncode != 0:
            raise AssertionError(
                f"sopslab up: {answer['problems']}\n{Path(answer['log']).read_text()[-4000:]}"
            )
        return answer

    def run(
        self, *argv: str, cwd: Path | None = None, check: bool = True, stdin: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a stock command as a learner would, after `eval "$(sopslab env)"`."""
        return run(argv, env=self.environment, cwd=cwd, check=check, stdin=stdin)

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Return what the stock kubectl prints on this lab."""
        return self.run("kubectl", *arguments, check=check).stdout

    def changes(self, answer: dict[str, Any]) -> list[str]:
        """Return what a run changed, as `Step: operation: notes`."""
        return [
            f"{step['name']}: {change}" for step in answer["steps"] for change in step["changes"]
        ]

    @property
    def node(self) -> str:
        """The container of the node."""
        return node_name(self.name)

    @property
    def git_server(self) -> str:
        """The container of the Git server."""
        return git_server_name(self.name)

    def learner(self, folder: Path) -> Path:
        """Return a fresh clone of the learner's repository below `folder`, with the commit hook."""
        work = Path(self.settings.work_dir)
        target = folder / "clone"
        helper = run(["git", "config", "credential.helper"], cwd=work).stdout.strip()
        url = f"{self.settings.git_base_url}/{self.settings.learner_repository}.git"
        run(["git", "-c", f"credential.helper={helper}", "clone", "--quiet", url, str(target)])
        for key in ("credential.helper", "user.name", "user.email"):
            run(
                ["git", "config", key, run(["git", "config", key], cwd=work).stdout.strip()],
                cwd=target,
            )
        hook = target / ".git" / "hooks" / "pre-commit"
        shutil.copy(work / ".git" / "hooks" / "pre-commit", hook)
        return target

    def head(self) -> str:
        """Return the commit of the learner's branch main on the Git server."""
        return run(["git", "rev-parse", "refs/heads/main"], cwd=self.bare).stdout.strip()

    def reset_repository(self, head: str) -> None:
        """Put the learner's repository back to a commit that it had, and its working copy with it."""
        work = Path(self.settings.work_dir)
        if self.head() != head:
            run(["git", "update-ref", "refs/heads/main", head], cwd=self.bare)
        run(["git", "fetch", "--quiet", "--force", "origin"], cwd=work, check=False)
        run(["git", "reset", "--quiet", "--hard", head], cwd=work)
        run(["git", "clean", "-qfd"], cwd=work)

    @property
    def bare(self) -> Path:
        """The learner's repository as the Git server keeps it."""
        return (
            Path(self.settings.git_dir) / "repositories" / f"{self.settings.learner_repository}.git"
        )

    def remove(self) -> None:
        """Take the lab down and remove what it keeps; the store stays."""
        self.sopslab("down", check=False)
        shutil.rmtree(self.settings.lab_dir, ignore_errors=True)


def run(
    argv: Sequence[str],
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    stdin: str | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, bounded, and fail with its own words."""
    done = subprocess.run(
        list(argv), env=env, cwd=cwd, input=stdin if stdin is not None else "",
        capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    if check and done.returncode != 0:
        raise AssertionError(
            f"{' '.join(argv)}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        )
    return done
