"""A profile as a flame: boxes as wide as their processor seconds, each above its parts.

Pure text. Widths are percentages and letters are not scaled with them, so that the same picture can
be read on a phone; a box too narrow for its name shows it when it is pointed at.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from tests.bench.profile import Profile

_ROW, _GAP = 24, 2
# Percent of the whole below which a box is not drawn.
_NARROWEST = 0.1
# And below which it has no room for letters.
_NAMED = 2
# By these classes a page gives boxes their colour: of the whole and of steps, and then of groups.
PLAIN, GROUPS = "plain", ("first", "second", "third", "fourth")


@dataclass(frozen=True)
class Box:
    """A part of the work, what it took, and its own parts in the order in which they are shown."""

    name: str
    value: float
    colour: str
    parts: Sequence[Box] = field(default_factory=tuple)


def flame(name: str, profile: Profile, groups: Sequence[str]) -> Box:
    """Return a profile as boxes: steps in order, in each its groups, and in these their components,
    largest first.

    + groups: all groups that are shown, in the order of their colours
    """
    steps = []
    for step in profile.steps:
        found = [
            (group, sorted(_components(profile, step, group), key=lambda one: -one.value))
            for group in groups
        ]
        parts = [
            Box(group, sum(one.value for one in components), colour_of(group, groups), components)
            for group, components in found
            if components
        ]
        parts.sort(key=lambda one: -one.value)
        steps.append(Box(step, sum(one.value for one in parts), PLAIN, parts))
    if len(steps) == 1:
        # Work without steps has one, which would only say the same once more.
        (whole,) = steps
        return Box(name, whole.value, PLAIN, whole.parts)
    return Box(name, sum(one.value for one in steps), PLAIN, steps)


def colour_of(group: str, groups: Sequence[str]) -> str:
    """Return the class that colours a group."""
    return GROUPS[groups.index(group) % len(GROUPS)]


def drawn(whole: Box, full: float) -> str:
    """Return the boxes as SVG, which has no colours of its own.

    + full: the processor seconds that are as wide as there is room, so that flames can be compared
    """
    height = _depth(whole) * (_ROW + _GAP)
    label = escape(f"{whole.name}: {whole.value:.1f} processor seconds", quote=True)
    return "\n".join(
        [
            f'<svg class="flame" width="100%" height="{height}" role="img" aria-label="{label}">',
            *_drawn(whole, whole.value, full, 0.0, 0),
            "</svg>",
        ]
    )


def _components(profile: Profile, step: str, group: str) -> Iterator[Box]:
    for (its_step, its_group, name), seconds in profile.spent.items():
        if (its_step, its_group) == (step, group):
            yield Box(name, seconds, "")


def _depth(box: Box) -> int:
    return 1 + max(map(_depth, box.parts), default=0)


def _drawn(
    box: Box, whole: float, full: float, left: float, row: int, colour: str = PLAIN
) -> Iterator[str]:
    """Yield a box and all below it; a component has the colour of its group.

    + left: the processor seconds to the left of it
    """
    if not box.value or 100 * box.value / full < _NARROWEST:
        return
    colour = box.colour or colour
    place = f'x="{100 * left / full:.2f}%" y="{row * (_ROW + _GAP)}"'
    name = escape(box.name)
    named = 100 * box.value / full >= _NAMED
    words = f'<text x="4" y="16">{name} {box.value:.1f}</text>' if named else ""
    # A picture within the picture cuts what does not fit into it.
    yield (
        f'<svg {place} width="{100 * box.value / full:.2f}%" height="{_ROW}">'
        f"<title>{name}: {box.value:.2f} s, {100 * box.value / whole:.1f} %</title>"
        f'<rect class="{colour}" width="100%" height="100%"/>'
        f"{words}</svg>"
    )
    for part in box.parts:
        yield from _drawn(part, whole, full, left, row + 1, colour)
        left += part.value
