"""The callers of the policy, each a set of files and who says for whom they must be encrypted."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from sopslab.policy import building, built, engine, report, sources
from sopslab.policy.findings import Report, Undecidable
from sopslab.policy.recipients import Trusted

_BRANCH = "refs/heads/main"
"""The branch that Flux reads."""


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
    lines = list(lines)
    try:
        commits = sources.pushed(lines, folder)
    except sources.SourceError as error:
        return Report(undecided=[str(error)])
    if commits is None:
        return Report()
    # Side by side: a push waits for the longer of the two.
    with ThreadPoolExecutor(max_workers=1) as executor:
        delivery = executor.submit(_delivery, lines, folder)
        answer = engine.check(commits, Trusted.from_environment())
    delivered = delivery.result()
    answer.findings = sorted({*answer.findings, *delivered.findings})
    answer.undecided += delivered.undecided
    return answer


def _delivery(lines: Iterable[str], folder: str) -> Report:
    """Judge what Flux would make of main, if that is pushed."""
    repository = sources.Repository(folder)
    report = Report()
    try:
        for line in lines:
            old, new, ref = line.split(" ", 2)
            if ref == _BRANCH and sources.differ(repository, old, new, building.TOP):
                match building.build(repository, new):
                    case building.Refused(findings):
                        report.findings += findings
                    case building.Built(text):
                        report.findings += built.check(text, building.ROOT, new)
    except sources.SourceError as error:
        report.undecided.append(str(error))
    except Undecidable as error:
        report.undecided.append(f"{building.ROOT} {error}")
    return report


def show(answer: Report, as_json: bool) -> int:
    """Print *answer* and return its exit code."""
    text = report.as_json(answer) if as_json else report.as_text(answer)
    sys.stdout.write(text + "\n")
    return answer.exit_code
