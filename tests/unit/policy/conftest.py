"""What the tests of the policy share: gitleaks, and repositories whose hook is the policy."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import find_tool
from tests.texts import write_program


@pytest.fixture(scope="session")
def gitleaks() -> Iterator[str]:
    """Let the policy find gitleaks, whatever PATH is."""
    program = find_tool("gitleaks")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOPSLAB_GITLEAKS", program)
        yield program


class Repo:
    """A Git repository in a temporary directory, untouched by the machine's own settings."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")

    @property
    def environment(self) -> dict[str, str]:
        """The environment of Git and of the hooks."""
        root = Path(__file__).parents[3]
        return {
            "PATH": os.environ["PATH"],
            "SOPSLAB_GITLEAKS": os.environ["SOPSLAB_GITLEAKS"],
            "SOPSLAB_FLUX": find_tool("flux"),
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "a",
            "GIT_AUTHOR_EMAIL": "a@lab",
            "GIT_COMMITTER_NAME": "a",
            "GIT_COMMITTER_EMAIL": "a@lab",
            "PYTHONPATH": str(root),
        }

    def git(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run git here."""
        return subprocess.run(
            ["git", "-C", str(self.folder), *arguments],
            env=self.environment,
            check=check,
            capture_output=True,
            text=True,
        )

    def write(self, path: str, text: str) -> Path:
        """Write a file into the work tree."""
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def commit(self, path: str, text: str) -> str:
        """Commit one file, past all hooks, and return the commit."""
        self.write(path, text)
        self.git("add", "-A")
        self.git("commit", "-q", "--no-verify", "-m", "c")
        return self.git("rev-parse", "HEAD").stdout.strip()

    def policy(
        self, *arguments: str, stdin: str = "", below: str = ".", **extra: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the policy as a hook does, with *extra* environment variables."""
        return subprocess.run(
            [sys.executable, "-m", "sopslab.policy", *arguments],
            cwd=self.folder / below,
            env={**self.environment, **extra},
            input=stdin,
            capture_output=True,
            text=True,
        )


@pytest.fixture
def repo(tmp_path: Path, gitleaks: str) -> Repo:
    """An empty repository."""
    return Repo(tmp_path / "work")


@pytest.fixture
def server(repo: Repo, tmp_path: Path) -> Repo:
    """A bare repository whose pre-receive hook is the policy; it is the remote ``origin``."""
    bare = Repo(tmp_path / "server")
    bare.git("config", "core.bare", "true")
    write_program(
        bare.folder / ".git" / "hooks" / "pre-receive",
        f'#!/bin/sh\nexec "{sys.executable}" -m sopslab.policy pre-receive\n',
    )
    repo.git("remote", "add", "origin", str(bare.folder / ".git"))
    return bare
