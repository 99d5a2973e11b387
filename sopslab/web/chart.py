"""How counts changed over time, as SVG. Pure. A curve has only numbers, so nothing is escaped."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from sopslab.checks.board.history import Curve


@dataclass(frozen=True)
class Frame:
    """The frame of a curve: its size, and the number of columns that the time is divided into,
    which keeps the page of a long lesson short."""

    width: int
    height: int
    columns: int


STEP = Frame(120, 40, 60)
LEARNER = Frame(48, 16, 24)


def drawn(curve: Curve, frame: Frame, seconds: float, most: int) -> Markup:
    """Return a curve as SVG. The page has to say the same in words, for people who cannot see it.

    + seconds: the time from left to right
    + most: the count at the top
    """
    (x, count), *others = _columns(curve, frame, seconds)
    path = f"M{x} {_height(count, frame, most)}"
    path += "".join(f"H{x}V{_height(count, frame, most)}" for x, count in others)
    return Markup(
        f'<svg viewBox="0 0 {frame.width} {frame.height}" aria-hidden="true">'
        f'<path d="{path}H{frame.width}"/></svg>'
    )


def _columns(curve: Curve, frame: Frame, seconds: float) -> list[tuple[int, int]]:
    """Return the columns where the count changes: the x of each, and the last count in it."""
    found: dict[int, int] = {}
    for at, count in curve.points:
        share = min(max(at / seconds, 0.0), 1.0) if seconds > 0 else 0.0
        found[round(share * frame.columns) * frame.width // frame.columns] = count
    points: list[tuple[int, int]] = []
    for x, count in sorted(found.items()):
        if not points or points[-1][1] != count:
            points.append((x, count))
    return points


def _height(count: int, frame: Frame, most: int) -> int:
    share = min(max(count / most, 0.0), 1.0) if most > 0 else 0.0
    # Half the width of the line stays free at the edges, so that the line is not cut off.
    return round(1 + (frame.height - 2) * (1 - share))
