"""How results are shown to people."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from sopslab.model.results import Result, Status
from sopslab.policy.printing import printable

_MARKS = {
    Status.OK: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.NOT_RUN: ("–", "dim"),
    Status.UNKNOWN: ("?", "yellow"),
}
_WIDTH = 10


def as_text(result: Result) -> Text:
    """Return a result for people: a mark and a sentence, and below it the next step."""
    mark, style = _MARKS[result.status]
    tone = "dim" if result.status is Status.NOT_RUN else ""
    text = Text.assemble(
        (mark, style), " ", f"{result.id:<{_WIDTH}}", (printable(result.found), tone)
    )
    if result.next_step and result.status is not Status.NOT_RUN:
        text.append(f"\n{'':{_WIDTH + 2}}→ ")
        text.append(printable(result.next_step), "bold")
    return text


def waiting(check: str, found: str, seconds: float) -> Text:
    """Return the line that is shown until a check passes: what is not done yet, and how long
    `verify` waits for it."""
    most = f"waiting for up to {max(round(seconds), 1)} s"
    return Text(f"… {check:<{_WIDTH}}{printable(found).rstrip('.')}; {most}", "dim")


def conclusion(results: Sequence[Result]) -> Text:
    """Return the last line: how far the learner is, and what comes next."""
    done = sum(result.status is Status.OK for result in results)
    if done == len(results):
        return Text("Done: the secret went the whole way, and its value was never shown.", "green")
    first = next(
        (result for result in results if result.status is Status.FAILED and result.next_step),
        next((result for result in results if result.status is Status.UNKNOWN), None),
    )
    text = Text(f"{done} of {len(results)} checks pass.")
    if first is not None and first.next_step:
        text.append(" Next: ")
        text.append(printable(first.next_step), "bold")
    return text
