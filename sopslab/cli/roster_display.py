"""How an import is shown before it is written: what was read, and who is in the roster or not."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table as Display

from sopslab.config.column_choice import Columns, called
from sopslab.config.roster_import import Learner, Proposal
from sopslab.config.tables import Table

_UNSURE = {"Windows-1252": ", as it is not UTF-8: see that the letters are right"}


def reading(table: Table, columns: Columns) -> Iterator[str]:
    """Yield in sentences how a table was read."""
    unsure = _UNSURE.get(table.encoding, "")
    yield f"{table.path}: {table.encoding}{unsure}; columns by {table.separator}"
    names = " and ".join(called(table, column) for column in columns.names)
    ids = [
        *([called(table, columns.id)] if columns.id is not None else []),
        *(["the address"] if columns.email is not None else []),
        "the name",
    ]
    yield f"  id     from {', else '.join(ids)}"
    yield f"  name   from {names}"
    for key, column in (("email", columns.email), ("group", columns.group)):
        yield f"  {key}  {'from ' + called(table, column) if column is not None else 'none'}"


def people(proposal: Proposal) -> Display:
    """Return a line for each learner of the roster."""
    shown = Display(box=None, pad_edge=False)
    for title in ("line", "id", "made of", "name", "email", "group"):
        shown.add_column(title, overflow="fold", justify="right" if title == "line" else "left")
    for learner in proposal.learners:
        shown.add_row(*_cells(learner))
    return shown


def _cells(learner: Learner) -> tuple[str, ...]:
    line = "" if learner.line is None else str(learner.line)
    values = (learner.id, learner.made_of, learner.name, learner.email, learner.group)
    return (line, *(value or "" for value in values))


def remarks(proposal: Proposal) -> Iterator[str]:
    """Yield a sentence for each row that is left out, and for anything else worth knowing."""
    for row in proposal.left_out:
        yield f"line {row.line} is left out: {row.reason}"
    yield from proposal.notes
