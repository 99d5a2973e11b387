"""Classes for a board to show: a hundred learners whose texts are hard to show, and one for
pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from sopslab.checks.board.judge import judge
from sopslab.checks.board.steps import INFRASTRUCTURE, Progress, Row
from sopslab.checks.snapshot import ClusterKey
from sopslab.config.settings import Seat
from sopslab.model.progress import Change
from tests.unit.board.board_material import (
    ADA,
    FILE,
    INSTRUCTOR,
    KUSTOMIZATION,
    TREE,
    not_ready,
    suspended,
    with_facets,
)
from tests.unit.web.web_material import ALL, FRESH, STUCK, row, saying, seat

# Names that would act if the browser took them for more than text: they would change the title,
# send a request or widen the page.
NAMES = (
    "Ada Lovelace",
    "<script>document.title = 'taken'</script>",
    "</td></table><img src=x onerror=\"document.title = 'taken'\">",
    "\u202ereversed\u2066 \x1b[2J",
    "W" * 64,
    "نورا الهاشمي",
    "李 雷",
    "Zoë Lindström",
    "#{ 7 * 7 }# {{ 7 * 7 }}",
)
SENTENCE = "<b onmouseover=\"document.title = 'taken'\">" + "never-ending/" * 26
COMMAND = "kubectl --namespace " + "n" * 200 + ' get "<i>all</i>"'
GROUPS = ("table 1", "table 2", "a & <b>", "W" * 64)
LOUD = 67
"""The number of the learner who has the longest name, group, sentence and command."""


def hundred() -> list[Row]:
    """Return a class in which a third each is done, at work and stuck. Names and sentences are
    written to cause trouble."""
    rows = []
    for number in range(100):
        who = seat(f"learner-{number}", group=GROUPS[number % len(GROUPS)])
        who = who.model_copy(update={"name": NAMES[number % len(NAMES)]})
        rows.append(row((ALL, FRESH, STUCK)[number % 3], who))
    rows[LOUD] = saying(rows[LOUD].seat, SENTENCE, COMMAND)
    return rows


def turned(rows: Sequence[Row], id: str, like: Row) -> list[Row]:
    """Return the class with one learner's steps as in the row `like`."""
    return [row(like, one.seat, one.asked) if one.seat.id == id else one for one in rows]


def asking(rows: Sequence[Row], id: str, since: float | None) -> list[Row]:
    """Return the class with one learner who asks for help since a time, or with None no longer
    asks."""
    return [replace(one, asked=since) if one.seat.id == id else one for one in rows]


# For pictures

NOW = 1_795_960_800.0
"""The time at which the pictures are taken, in seconds since 1970."""

_LESSON_S = 50 * 60.0
_NOT_LISTED = replace(
    TREE, kustomization="resources:\n  - lab-canary.yaml\n  # - backend-secrets.yaml\n"
)
_OTHER_KEY = ClusterKey(True, {"age.agekey": frozenset({"age1other"})})
_STRANGER = replace(FILE, recipients=frozenset({"age1stranger", INSTRUCTOR}))
_NOT_OPENED = replace(TREE, manifests={"backend-secrets.yaml": _STRANGER})
_FAILED = not_ready(KUSTOMIZATION, "cannot decrypt")
_WIRING = judge(ADA, with_facets(tree=_NOT_LISTED, live={}))
_KEY = judge(ADA, with_facets(key=_OTHER_KEY, kustomizations=[_FAILED], live={}))
_RECIPIENT = judge(ADA, with_facets(tree=_NOT_OPENED, kustomizations=[_FAILED], live={}))
_SUSPENDED = judge(ADA, with_facets(kustomizations=[suspended(KUSTOMIZATION)]))
# Name, group, progress, the minutes since the last step, and the minutes since asking for help.
_PEOPLE: tuple[tuple[str, str, Row, int, int | None], ...] = (
    ("Ada Lovelace", "table 1", ALL, 12, None),
    ("Charles Babbage", "table 1", _SUSPENDED, 9, 4),
    ("Grace Hopper", "table 1", ALL, 20, None),
    ("Alan Turing", "table 1", _WIRING, 6, None),
    ("Zoë Lindström", "table 1", FRESH, 48, None),
    ("Emmy Noether", "table 1", ALL, 7, None),
    ("Edsger Dijkstra", "table 2", _RECIPIENT, 17, None),
    ("Joan Clarke", "table 2", ALL, 15, None),
    ("Jean Bartik", "table 2", _WIRING, 11, 2),
    ("Ольга Ладыженская", "table 2", ALL, 3, None),
    ("Frances Allen", "table 2", _KEY, 22, None),
    ("Konrad Zuse", "table 2", _WIRING, 4, None),
    ("Kurt Gödel", "table 3", FRESH, 49, None),
    ("Katherine Johnson", "table 3", ALL, 9, None),
    ("Dennis Ritchie", "table 3", _SUSPENDED, 5, None),
    ("Betty Holberton", "table 3", ALL, 1, None),
    ("Claude Shannon", "table 3", _WIRING, 2, None),
    ("Hedy Lamarr", "table 3", ALL, 14, None),
)


def pictured() -> tuple[list[Row], list[Change]]:
    """Return a class in the middle of a lesson, and its recorded history."""
    rows, changes = [], []
    for number, (name, group, like, last, asked) in enumerate(_PEOPLE, start=1):
        who = seat(f"seat-{number:02}", name, group)
        rows.append(_at_seat(like, who, None if asked is None else NOW - asked * 60))
        changes += _history(rows[-1], NOW - _LESSON_S, NOW - last * 60)
    return rows, sorted(changes, key=lambda change: change.at)


def _at_seat(like: Row, who: Seat, asked: float | None) -> Row:
    """Return a row like ADA's, with another learner's id in its sentences and commands."""
    steps = [
        replace(
            step,
            found=re.sub(rf"\b{ADA.id}\b", who.id, step.found),
            fix=re.sub(rf"\b{ADA.id}\b", who.id, step.fix),
        )
        for step in like.steps
    ]
    return replace(like, seat=who, steps=tuple(steps), asked=asked)


def _history(row: Row, begun: float, last: float) -> list[Change]:
    """Return the history that leads to a row. The lab's own steps are done when the lesson begins;
    the learner's steps follow at equal intervals, up to the time of the last one."""
    own = [step.id for step in row.steps if step.progress is Progress.YES]
    own = [id for id in own if id not in INFRASTRUCTURE]
    changes = []
    for step in row.steps:
        if step.progress is Progress.UNKNOWN:
            continue
        at = begun
        if step.id in own:
            changes.append(Change(begun, row.seat.id, step.id, Progress.NO.value))
            at = begun + (last - begun) * (own.index(step.id) + 1) / len(own)
        elif step.stuck:
            at = last
        changes.append(Change(at, row.seat.id, step.id, step.progress.value, step.stuck))
    return changes
