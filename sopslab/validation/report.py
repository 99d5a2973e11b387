"""How the answer is shown: a line per finding with what to change, or JSON."""

from __future__ import annotations

from typing import Any

from sopslab.model.words import counted
from sopslab.policy.printing import in_one_line
from sopslab.policy.report import as_lines
from sopslab.validation.engine import Answer


def as_dict(report: Answer) -> dict[str, Any]:
    """Return the report as `--json` prints it: with findings, undecided, notes and checked."""
    parts = ("path", "line", "rule", "message", "fix")
    found = [{part: getattr(finding, part) for part in parts} for finding in report.findings]
    return {
        "findings": found,
        "undecided": report.undecided,
        "notes": report.notes,
        "checked": report.checked,
    }


def as_text(report: Answer) -> str:
    """Return the report for people: each finding with what to change, then a line that sums up."""
    lines = [as_lines(finding) for finding in report.findings]
    lines += [f"note: {in_one_line(note)}" for note in report.notes]
    lines += [f"could not decide: {in_one_line(reason)}" for reason in report.undecided]
    count = len(report.findings)
    if report.undecided:
        lines.append("flux-kustomize-validate: not everything could be checked")
    elif count:
        lines.append(f"flux-kustomize-validate: {counted(count, 'finding')}")
    elif not report.checked:
        lines.append("flux-kustomize-validate: there is nothing here that Flux would build")
    else:
        objects = counted(report.checked, "object")
        lines.append(f"flux-kustomize-validate: {objects} built and checked, all well")
    return "\n".join(lines)
