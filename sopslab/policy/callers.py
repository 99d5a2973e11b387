"""The callers of the policy: each decides which files are judged and which recipients are demanded.

Each starts gitleaks before it imports the rest, so that two processors can do both at once.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from sopslab.policy import gitleaks

if TYPE_CHECKING:
    from sopslab.policy.findings import Report

# As many commits of a history may have expressions that are as costly as those of a push may be.
_MOST_PUSHES = 20


def check(paths: Iterable[str]) -> Report:
    """Judge files and trees on disk."""
    with gitleaks.begin() as begun:
        from sopslab.policy import engine, recipients, sources

        trusted = recipients.Trusted.from_environment()
        return engine.check(sources.Tree(paths), trusted, begun)


def history(folder: str = ".") -> Report:
    """Judge every file version in a repository's history, by the .sops.yaml of the same commit."""
    with gitleaks.begin() as begun:
        from sopslab.policy import engine, findings, recipients, regex, sources

        try:
            with regex.within(regex.Budget(_MOST_PUSHES * regex.RUN_STEPS)):
                return engine.check(sources.history(folder), recipients.Trusted(), begun)
        except sources.SourceError as error:
            return findings.Report(undecided=[str(error)])


def pre_commit(folder: str = ".") -> Report:
    """Judge what is staged in a repository."""
    with gitleaks.begin() as begun:
        from sopslab.policy import engine, recipients, sources

        trusted = recipients.Trusted.from_environment()
        return engine.check(sources.Staged(folder), trusted, begun)


def pre_receive(lines: Iterable[str], folder: str = ".") -> Report:
    """Judge what a push adds; *lines* are those that Git gives to a pre-receive hook."""
    with gitleaks.begin() as begun:
        from sopslab.policy import pushes

        return pushes.judge(lines, folder, begun)


def show(answer: Report, as_json: bool) -> int:
    """Print *answer* and return its exit code."""
    from sopslab.policy import report

    text = report.as_json(answer) if as_json else report.as_text(answer)
    sys.stdout.write(text + "\n")
    return answer.exit_code
