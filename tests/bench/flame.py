"""A profile as a flame: boxes whose width is their processor seconds, each above its parts.

Pure text. Widths are percentages, and letters keep their size, so that the picture can be read on a
phone, too. A box that is too narrow for its name shows the name when somebody points at it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from html import escape

from tests.bench.profile import Profile

_ROW, _GAP = 24, 2
# A box that is narrower than this, in percent of the full width, is not drawn.
_NARROWEST = 0.1
# A box that is narrower than this, in percent of the full width, has no room for its name.
_NAMED = 2
# The classes by which a page colours boxes: one for the whole and for steps, and those of groups.
PLAIN, GROUPS = "plain", ("first", "second", "third", "fourth")


@dataclass(frozen=True)
class Box:
    """A part of some work, the processor seconds that it took, and its own parts in the order in
    which they are shown."""

    name: str
    value: float
    colour: str
    parts: Sequence[Box] = field(default_factory=tuple)


def flame(name: str, profile: Profile, groups: Sequence[str]) -> Box:
    """Return a profile as boxes: the steps in their order, the groups of each step, and the
    components of each group; groups and components are sorted, the largest first.

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
        # Work without steps has a single one, whose box would only repeat that of the whole.
        (whole,) = steps
        return Box(name, whole.value, PLAIN, whole.parts)
    return Box(name, sum(one.value for one in steps), PLAIN, steps)


def colour_of(group: str, groups: Sequence[str]) -> str:
    """Return the class of SVG that colours a group."""
    return GROUPS[groups.index(group) % len(GROUPS)]


def drawn(whole: Box, full: float) -> str:
    """Return the boxes as SVG. The page has to add the colours of the classes.

    + full: the processor seconds that take the full width; the same for flames that are compared
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
    """Yield a box and all its parts; a component has the colour of its group.

    + left: the processor seconds to the left of the box
    """
    if not box.value or 100 * box.value / full < _NARROWEST:
        return
    colour = box.colour or colour
    place = f'x="{100 * left / full:.2f}%" y="{row * (_ROW + _GAP)}"'
    name = escape(box.name)
    named = 100 * box.value / full >= _NAMED
    words = f'<text x="4" y="16">{name} {box.value:.1f}</text>' if named else ""
    # In a nested `svg`, which cuts a name that does not fit into the box.
    yield (
        f'<svg {place} width="{100 * box.value / full:.2f}%" height="{_ROW}">'
        f"<title>{name}: {box.value:.2f} s, {100 * box.value / whole:.1f} %</title>"
        f'<rect class="{colour}" width="100%" height="100%"/>'
        f"{words}</svg>"
    )
    for part in box.parts:
        yield from _drawn(part, whole, full, left, row + 1, colour)
        left += part.value
