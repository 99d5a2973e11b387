"""How the cost of a class grows, as a picture for the docs: SVG that is light or dark as the
reader's browser prefers. Pure text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from tests.bench.growth_table import Row

# The figures that have a panel, and the titles of the panels.
PANELS = {
    "up_processor": "processor seconds of the first run",
    "node_mib": "memory of the node, MiB",
    "etcd_mib": "etcd’s file, MiB",
    "idle_cores": "cores when nothing is done",
}
_WIDTH, _HEIGHT = 380, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 20, 34, 36
_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #1b1f24; } .title { font-weight: 600; }
.grid { stroke: #d5d9de; } .line { fill: none; stroke: #0969da; stroke-width: 2; }
.point { fill: #0969da; }
@media (prefers-color-scheme: dark) {
  text { fill: #e8eaed; } .grid { stroke: #3a4047; } .line { stroke: #6cb0ff; }
  .point { fill: #6cb0ff; }
}
"""


def plot(rows: Sequence[Row]) -> str:
    """Return the picture of the rows of the table, with a panel for each figure."""
    width, height = 2 * _WIDTH, math.ceil(len(PANELS) / 2) * _HEIGHT
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
        ' aria-label="What a class costs, by the number of learners">',
        f"<style>{_STYLE}</style>",
    ]
    for number, (key, title) in enumerate(PANELS.items()):
        x, y = number % 2 * _WIDTH, number // 2 * _HEIGHT
        points = [(row["learners"], row[key]) for row in rows]
        lines += [f'<g transform="translate({x} {y})">', *_panel(title, points), "</g>"]
    return "\n".join([*lines, "</svg>\n"])


def step_of(highest: float) -> float:
    """Return the distance between the marks of an axis, which has three to seven marks up to its
    highest value."""
    if highest <= 0:
        return 1.0
    power: float = 10.0 ** math.floor(math.log10(highest / 3))
    return power * max(factor for factor in (1, 2, 5) if highest / (power * factor) >= 3)


def _panel(title: str, points: Sequence[tuple[float, float]]) -> Iterator[str]:
    yield f'<text class="title" x="{_LEFT}" y="18">{escape(title)}</text>'
    bottom = _HEIGHT - _BOTTOM
    across = max((x for x, _ in points), default=1)
    highest = max((y for _, y in points), default=1)
    step = step_of(highest)
    top = math.ceil(highest / step) * step or step

    def place(x: float, y: float) -> tuple[float, float]:
        right = _LEFT + x / across * (_WIDTH - _LEFT - _RIGHT)
        return round(right, 1), round(bottom - y / top * (bottom - _TOP), 1)

    for mark in range(round(top / step) + 1):
        _, y = place(0, mark * step)
        yield f'<path class="grid" d="M{_LEFT} {y}H{_WIDTH - _RIGHT}"/>'
        yield f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{mark * step:g}</text>'
    if points:
        path = "L".join(f"{x} {y}" for x, y in (place(*point) for point in points))
        yield f'<path class="line" d="M{path}"/>'
    taken = -math.inf
    for point in points:
        x, y = place(*point)
        yield f'<circle class="point" cx="{x}" cy="{y}" r="3.5"/>'
        # Numbers that would touch the one before are left out; the table has them.
        if x - taken > 26:
            yield f'<text x="{x}" y="{bottom + 18}" text-anchor="middle">{point[0]:g}</text>'
            taken = x
    yield f'<text x="{_WIDTH - _RIGHT}" y="{bottom + 32}" text-anchor="end">learners</text>'
