"""What Flux is to deliver from a Git server that is not on this machine."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from sopslab.config.environment import solo
from sopslab.config.settings import Settings
from sopslab.lab.observe.delivery import wanted
from tests.repositories import git
from tests.texts import write_program


def test_what_was_pushed_from_elsewhere_is_what_flux_is_to_deliver(
    lab: Callable[..., Settings], tools: Callable[..., Path]
) -> None:
    settings = lab(git_url="http://git.example", git_username="lab", git_password="hidden")
    served = Path(settings.root, "served")
    here = f"url.{served.as_uri()}/.insteadOf=http://git.example/"
    write_program(tools() / "git", f'#!/bin/sh\nexec {shutil.which("git")} -c "{here}" "$@"\n')
    work, bare = Path(settings.root, "work"), served / "learner" / "lab.git"
    for folder, words in ((bare, ("--bare",)), (work, ())):
        folder.mkdir(parents=True)
        git(folder, "init", "--quiet", "--initial-branch=main", *words)

    def push(message: str) -> str:
        git(work, "commit", "--quiet", "--allow-empty", "--message", message)
        git(work, "push", "--quiet", str(bare), "main")
        return git(work, "rev-parse", "HEAD").strip()

    place, one = settings.for_machine, solo(settings)
    first = push("first")
    assert wanted(place, [one], [])[one.id].head == first
    second = push("second")
    assert wanted(place, [one], [])[one.id].head == second
    # If the server does not answer, the last answer counts.
    bare.rename(bare.with_suffix(".gone"))
    assert wanted(place, [one], [])[one.id].head == second
