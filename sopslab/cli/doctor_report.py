"""How a diagnosis is shown to people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.text import Text

from sopslab.policy.printing import printable

if TYPE_CHECKING:
    from sopslab.checks.diagnosis import Diagnosis
    from sopslab.checks.rules.results import Cause


def as_text(diagnosis: Diagnosis) -> Iterator[Text]:
    """Yield each cause with its evidence and the next step, then what was not seen."""
    for one in diagnosis.causes:
        yield _cause(one)
    for reason in diagnosis.undecided:
        yield Text.assemble(("?", "yellow"), " ", printable(reason))
    if diagnosis.exit_code == 0:
        yield Text("Nothing is wrong. `sopslab verify` says how far the exercise is.", "green")


def _cause(one: Cause) -> Text:
    text = Text.assemble(("✗", "red"), f" {one.id}: ", printable(one.sentence))
    for evidence in one.evidence:
        text.append(f"\n  {printable(evidence.what)}: {printable(evidence.seen)}", "dim")
    return text.append("\n  → ").append(printable(one.next_step), "bold")
