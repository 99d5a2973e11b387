"""How counts changed over time, as SVG. Pure; it has only numbers, so nothing has to be escaped."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from sopslab.checks.board.history import Curve


@dataclass(frozen=True)
class Frame:
    """What a curve is drawn in: its size, and into how many parts the time is divided at most, so
    that a long lesson makes no long page."""

    width: int
    height: int
    columns: int


STEP = Frame(120, 40, 60)
LEARNER = Frame(48, 16, 24)


def drawn(curve: Curve, frame: Frame, seconds: float, most: int) -> Markup:
    """Return a curve as SVG. The page has to say the same in words for those who do not see it.

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
    """Return where the count changes, each column once and with its last count."""
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
    # Half a line's width from the edges, so that nothing of it is cut off.
    return round(1 + (frame.height - 2) * (1 - share))
