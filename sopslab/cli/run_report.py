"""How a run went, as results for CI: one for each step."""

from __future__ import annotations

from sopslab.errors import Exit
from sopslab.model import results
from sopslab.model.results import Status
from sopslab.run.runner import Result, StepResult


def as_results(run: Result) -> list[results.Result]:
    """Return a result for each step of a run, and one for the run if it ended outside of a step."""
    problems = " ".join(run.problems)
    found = [
        results.Result(step.name or "run", step.status, _found(step, problems), "", step.seconds)
        for step in run.steps
    ]
    if run.code is not Exit.OK and not any(step.failed for step in run.steps):
        found.append(results.Result("run", Status.FAILED, problems, "", 0.0))
    return found


def _found(step: StepResult, problems: str) -> str:
    match step.status:
        case Status.FAILED:
            return problems
        case Status.OK:
            return "\n".join(step.changes) or "nothing to do"
        case _:
            return "the run ended before it was done"
