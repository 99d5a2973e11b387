"""The callers of the policy, each a set of files and who says for whom they must be encrypted."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from sopslab.policy import engine, report, sources
from sopslab.policy.findings import Report
from sopslab.policy.recipients import Trusted


def check(paths: Iterable[str]) -> Report:
    """Judge files and trees on disk."""
    return engine.check(sources.Tree(paths), Trusted.from_environment())


def history(folder: str = ".") -> Report:
    """Judge every file version in the history of a repository, by the .sops.yaml of its time."""
    try:
        return engine.check(sources.history(folder), Trusted())
    except sources.SourceError as error:
        return Report(undecided=[str(error)])


def pre_commit(folder: str = ".") -> Report:
    """Judge what is staged in a repository."""
    return engine.check(sources.Staged(folder), Trusted.from_environment())


def pre_receive(lines: Iterable[str], folder: str = ".") -> Report:
    """Judge what a push adds; *lines* are those that Git gives to a pre-receive hook."""
    from sopslab.policy import pushes

    return pushes.judge(lines, folder)


def show(answer: Report, as_json: bool) -> int:
    """Print *answer* and return its exit code."""
    text = report.as_json(answer) if as_json else report.as_text(answer)
    sys.stdout.write(text + "\n")
    return answer.exit_code
