"""Judge a push: what it adds, and what Flux would build from it.

The pre-commit hook does not need this module, and so does not spend the time to import it.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from sopslab.policy import building, built, engine, gitleaks, sources
from sopslab.policy.findings import Report, Undecidable
from sopslab.policy.recipients import Trusted

_BRANCH = "refs/heads/main"
"""The branch that Flux reads."""


def judge(lines: Iterable[str], folder: str, begun: gitleaks.Begun) -> Report:
    """Return what is wrong with a push; *lines* are those that Git gives to a pre-receive hook."""
    lines = list(lines)
    try:
        commits = sources.pushed(lines, folder)
    except sources.SourceError as error:
        return Report(undecided=[str(error)])
    if commits is None:
        return Report()
    # Both judge at the same time, so a push waits only for the slower of them.
    with ThreadPoolExecutor(max_workers=1) as executor:
        delivery = executor.submit(_delivery, lines, folder)
        answer = engine.check(commits, Trusted.from_environment(), begun)
    delivered = delivery.result()
    answer.findings = sorted({*answer.findings, *delivered.findings})
    answer.undecided += delivered.undecided
    return answer


def _delivery(lines: Iterable[str], folder: str) -> Report:
    """Judge what Flux would build from main, if the push changes `flux/` there."""
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
