"""A learner's own `git commit`, with the hook that the lab installs and no other preparation."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab.checks.causes import for_shell
from sopslab.config.environment import solo
from sopslab.config.inputs import local_settings
from sopslab.config.settings import Settings
from sopslab.files.render import render_tree
from sopslab.layout import TEMPLATES
from tasks.learners import commit_hook, learner_variables
from tests.repositories import make_identity
from tests.texts import write_program

FOLDER = "flux/secrets/develop"
LISTING = f"{FOLDER}/kustomization.yaml"
VALUE = "hunter2-of-the-test"
PLAIN = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{password: {VALUE}}}\n"

Commit = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def work(lab: Callable[..., Settings], tools: Callable[..., Path], tmp_path: Path) -> Path:
    """A clone as the lab makes it, with everything committed except the exercise."""
    tools("gitleaks", "flux", "kubeconform", "sops", "age-keygen")
    settings = lab()
    # The schemas are made from the machine's store.
    Path(settings.store).symlink_to(local_settings().store)
    recipients = {
        name: make_identity(Path(settings.keys_dir) / f"{name}.agekey")
        for name in ("learner", "instructor")
    }
    variables = learner_variables(settings, solo(settings)) | {
        "recipients": recipients,
        "causes": for_shell(),
    }
    work = tmp_path / "work"
    for name, file in render_tree(TEMPLATES / "learner", variables).items():
        path = work / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.content)
    # The lab makes the canary; this repository has none.
    (work / LISTING).write_text("resources: []\n")
    git(tmp_path, "-c", "init.defaultBranch=main", "init", "--quiet", str(work))
    git(work, "add", "--all")
    git(work, "commit", "--quiet", "--no-verify", "--message", "Begin the lab")
    write_program(work / ".git/hooks/pre-commit", commit_hook(settings))
    return work


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run git as a learner does, in a shell without any preparation."""
    return subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin", "HOME": str(folder.parent), "GIT_CONFIG_NOSYSTEM": "1",
            "SOPSLAB_ROOT": str(folder.parent / "root"),
            "GIT_AUTHOR_NAME": "Ada", "GIT_AUTHOR_EMAIL": "ada@example.org",
            "GIT_COMMITTER_NAME": "Ada", "GIT_COMMITTER_EMAIL": "ada@example.org",
        },
        check=check,
        capture_output=True,
        text=True,
    )  # fmt: skip


def commit(work: Path) -> tuple[bool, str]:
    """Commit everything; return whether that succeeded, and the output."""
    git(work, "add", "--all")
    before = git(work, "rev-parse", "HEAD").stdout
    done = git(work, "commit", "--message", "Mine", check=False)
    went = git(work, "rev-parse", "HEAD").stdout != before
    assert went == (done.returncode == 0)
    return went, done.stdout + done.stderr


def test_the_tools_are_found_whatever_their_folder_is_called(
    lab: Callable[..., Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / 'of $HOME, `id` and "it\'s"'
    folder.mkdir()
    write_program(folder / "pre-commit", '#!/bin/sh\nprintf %s "$*"\n')
    monkeypatch.setattr(sys, "executable", str(folder / "python3"))
    hook = write_program(tmp_path / "hook", commit_hook(lab()))
    done = subprocess.run(
        [hook], env={"PATH": "/usr/bin:/bin"}, check=True, capture_output=True, text=True
    )
    assert done.stdout == "run --hook-stage pre-commit"


def test_a_secret_in_plain_text_is_not_committed(work: Path) -> None:
    (work / FOLDER / "a.yaml").write_text(PLAIN)
    went, said = commit(work)
    assert not went
    assert f"{FOLDER}/a.yaml:4" in said and "no-secrets" in said
    assert VALUE not in said


def test_wiring_that_flux_could_not_build_is_not_committed(work: Path) -> None:
    (work / LISTING).write_text("resources: [nowhere.yaml]\n")
    went, said = commit(work)
    assert not went
    assert LISTING in said and "nowhere.yaml" in said and "flux-kustomize-validate" in said


def test_what_is_in_order_is_committed(work: Path) -> None:
    (work / FOLDER / "settings.yaml").write_text(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, namespace: develop}\n"
        "data: {LOG_LEVEL: debug}\n"
    )
    (work / LISTING).write_text("resources: [settings.yaml]\n")
    went, said = commit(work)
    assert went, said
    # pre-commit keeps its files with the lab, and nothing in the learner's home.
    assert not (work.parent / ".cache/pre-commit").exists()
