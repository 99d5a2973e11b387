"""What tests on real repositories share: git as a learner runs it, learners and their keys."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from sopslab.config.settings import Learner
from tests.conftest import find_tool
from tests.texts import write_program


def git(folder: Path, *arguments: str, check: bool = True) -> str:
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={
            "PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
        },
        check=check,
        capture_output=True,
        text=True,
    ).stdout.strip()  # fmt: skip


def begin_repository(bare: Path, clone: Path) -> None:
    """Make an empty repository, and a clone of it."""
    bare.mkdir(parents=True)
    git(bare, "-c", "init.defaultBranch=main", "init", "--quiet", "--bare")
    git(bare, "clone", "--quiet", str(bare), str(clone))


def commit(clone: Path, message: str, *, push: bool = True) -> str:
    """Commit all files in a clone, push the commit to main, and return it."""
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--allow-empty", "-m", message)
    if push:
        git(clone, "push", "--quiet", "origin", "HEAD:refs/heads/main")
    return git(clone, "rev-parse", "HEAD")


def learner(name: str) -> Learner:
    return Learner(id=name, name=name, email=f"{name}@example.org")


def seats(number: int) -> list[dict[str, str]]:
    """Return the seats of so many learners, as the settings of a lab have them."""
    return [
        {"id": f"s{one}", "name": f"Learner {one}", "email": f"s{one}@example.org"}
        for one in range(number)
    ]


def make_identity(path: Path) -> str:
    """Make an age identity at `path` and return its public key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([find_tool("age-keygen"), "-o", str(path)], check=True, capture_output=True)
    return public_key(path)


def public_key(path: Path) -> str:
    """Return the public key of the identity at `path`."""
    return subprocess.run(
        [find_tool("age-keygen"), "-y", str(path)], check=True, capture_output=True, text=True
    ).stdout.strip()


def decrypt(
    manifest: str, identity: Path, extract: str = "", *, check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Have sops decrypt a manifest with one identity and without any other.

    + extract: the one value that is wanted, such as `["data"]["KEY"]`
    """
    options = ["--extract", extract] if extract else []
    return subprocess.run(
        [find_tool("sops"), "decrypt", "--input-type", "yaml", "--output-type", "yaml", *options,
         "/dev/stdin"],
        input=manifest, check=check, capture_output=True, text=True,
        env={"SOPS_AGE_KEY_FILE": str(identity), "HOME": "/nonexistent"},
    )  # fmt: skip


def overtake(tools: Path, moment: str, bare: Path, clone: Path) -> None:
    """Make a stand-in for git that brings HEAD of a clone to main once, just before git is called
    with arguments that contain `moment`."""
    found = shutil.which("git")
    write_program(
        tools / "git",
        "#!/bin/sh\n"
        f"case \"$*\" in *'{moment}'*)\n"
        '    if mkdir "$0.overtaken" 2>/dev/null; then\n'
        f"        {found} --git-dir '{bare}' fetch -q '{clone}' +HEAD:refs/heads/main </dev/null\n"
        "    fi ;;\n"
        "esac\n"
        f'exec {found} "$@"\n',
    )


def was_overtaken(tools: Path) -> bool:
    """Return whether the stand-in of `overtake` has brought the clone's HEAD to main."""
    return (tools / "git.overtaken").is_dir()
