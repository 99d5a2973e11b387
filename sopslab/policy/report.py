"""How a report is shown: a line per finding, or JSON. Control characters in names are escaped."""

from __future__ import annotations

import json
from dataclasses import asdict

from sopslab.policy.findings import Finding, Report
from sopslab.policy.printing import in_one_line


def as_json(report: Report) -> str:
    """Return the report as one JSON object with findings, undecided and checked."""
    findings = []
    for finding in report.findings:
        fields = asdict(finding)
        if not finding.commit:
            del fields["commit"]
        findings.append(fields)
    answer = {"findings": findings, "undecided": report.undecided, "checked": report.checked}
    return json.dumps(answer, indent=2)


def as_text(report: Report) -> str:
    """Return the report for people: each finding with what to do, then a line that sums up."""
    lines = [as_lines(finding) for finding in report.findings]
    lines += [f"could not decide: {in_one_line(reason)}" for reason in report.undecided]
    count = len(report.findings)
    if report.undecided:
        lines.append("no-secrets: not everything could be checked, so nothing is let through")
    elif count:
        lines.append(
            f"no-secrets: {count} finding{'s' if count > 1 else ''}, nothing is let through"
        )
    else:
        lines.append(f"no-secrets: {report.checked} files checked, none holds a secret")
    return "\n".join(lines)


def as_lines(finding: Finding) -> str:
    """Return a finding for people: a line with its place, and one with what to do."""
    where = f"{in_one_line(finding.path)}:{finding.line}"
    if finding.commit:
        where += f" (commit {finding.commit[:12]})"
    message = f"{in_one_line(finding.message)} [{finding.rule}]"
    return f"{where}: {message}\n    fix: {in_one_line(finding.fix)}"
