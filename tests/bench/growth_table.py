"""The table of Markdown of how the cost of a class grows: written, and read again. Pure text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.bench.figures import markdown

# The figures of each size: the key in the report, and the head of the column.
COLUMNS = {
    "learners": "learners",
    "up": "seconds to the last canary",
    "up_processor": "processor seconds",
    "second_processor": "processor seconds of a second run",
    "status": "seconds of `status`",
    "node_mib": "MiB of the node",
    "etcd_mib": "MiB of etcd's file",
    "idle_cores": "cores when nothing is done",
}
Row = dict[str, float]


def growth_table(growth: Mapping[str, Any]) -> str:
    """Return the table, the link to its picture, and a sentence about the limit that was met."""
    sizes = growth["sizes"]
    cells = [tuple(COLUMNS.values())]
    cells += [tuple(f"{one[key]:g}" for key in COLUMNS) for one in sizes]
    limit = growth.get("limit")
    ending = (
        f"With {limit['learners']} learners `up` did not end well: {limit['why']}"
        if limit
        else f"No limit was met up to {sizes[-1]['learners']} learners."
    )
    picture = "![What a class costs, by its size](images/growth.svg)"
    return f"{markdown(cells)}\n{picture}\n\n{ending}\n"


def read_table(text: str) -> list[Row]:
    """Return the rows of a table, each by the keys of its columns.

    Raises ValueError if a column is unknown or a cell is no number.
    """
    keys = {head: key for key, head in COLUMNS.items()}
    lines = [line.strip().strip("|") for line in text.splitlines() if line.startswith("|")]
    if not lines:
        return []
    heads, _, *rows = ([cell.strip() for cell in line.split("|")] for line in lines)
    if unknown := [head for head in heads if head not in keys]:
        raise ValueError(f"the table has columns that nothing measures: {', '.join(unknown)}")
    return [
        {keys[head]: float(cell) for head, cell in zip(heads, row, strict=True)} for row in rows
    ]
