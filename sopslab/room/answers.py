"""The answer of a seat, line by line: the events of its run, and the JSON of its verb. Pure.

A learner may have every right on the seat's machine, so a line may have any content: the lines are
bounded, and events that the lab does not know are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sopslab.errors import MEANINGS, Exit
from sopslab.model.events import Ended, Event, Operation, Planned, Started
from sopslab.model.events import from_line as event_in

_MOST_ANSWER = 1 << 20  # characters
# A run has a few hundred operations, and writes an event at the start and at the end of each.
_MOST_EVENTS = 10_000
_MOST_TOLD = 16 << 20  # characters of all events
_MOST_SENTENCES = 20
_LONGEST = 600  # characters of a sentence
# No verb prints JSON that is nested this deeply.
_DEEPEST = 32
_EVENT = '{"event": '
# A shell exits with this code if it does not find a program. No verb of `sopslab` does.
_NO_PROGRAM = 127


class Unreadable(Exception):
    """The answer of a seat cannot come from the program of a lab."""


@dataclass
class Progress:
    """How far the run at a seat is, according to its events."""

    order: tuple[Operation, ...] = ()
    ended: int = 0

    def told(self, event: Event) -> str | None:
        """Take an event; return in a few words what the seat does now, None if the event does not
        change it."""
        match event:
            case Planned():
                self.order = event.operations
            case Ended():
                self.ended += 1
            case Started():
                step, label = event.operation.step.lower(), event.operation.label
                place = f"{min(self.ended + 1, len(self.order))}/{len(self.order)}"
                return _cut(f"{step} {place}: {label}")
        # Other events are ignored, such as those of a room whose controller the seat may be.
        return None


@dataclass
class Answer:
    """What a seat has printed so far: the lines of its answer, how many characters they have, and
    how many events there were, with how many characters (`told`)."""

    progress: Progress = field(default_factory=Progress)
    lines: list[str] = field(default_factory=list)
    length: int = 0
    events: int = 0
    told: int = 0

    def take(self, line: str) -> str | None:
        """Take a line; return in a few words what the seat does now, None if the line does not say
        it.

        Raises Unreadable if the seat has printed more than any verb prints.
        """
        if line.startswith(_EVENT):
            self.events += 1
            self.told += len(line)
            if self.events > _MOST_EVENTS or self.told > _MOST_TOLD:
                raise Unreadable
            try:
                return self.progress.told(event_in(line))
            except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
                return None
        # The line feed counts, too, so that the number of empty lines is bounded.
        self.length += len(line) + 1
        if self.length > _MOST_ANSWER:
            raise Unreadable
        self.lines.append(line)
        return None

    def parsed(self) -> dict[str, Any]:
        """Return the JSON object that the verb printed. Raises Unreadable if the output is not an
        object, or is nested too deeply."""
        try:
            answer = json.loads("\n".join(self.lines))
            # Python also reads NaN and Infinity, which JSON does not have.
            json.dumps(answer, allow_nan=False)
        except (ValueError, RecursionError):
            raise Unreadable from None
        if not isinstance(answer, dict) or _is_deep(answer):
            raise Unreadable
        return answer


def changes_in(answer: Mapping[str, Any]) -> int:
    """Return the number of changes that an answer states, 0 if it states no plausible number."""
    changed = answer.get("changed", 0)
    return changed if type(changed) is int and 0 <= changed < 10_000 else 0


def problems_in(answer: Mapping[str, Any], code: int) -> tuple[str, ...]:
    """Return why a verb failed, in sentences; empty if it did not.

    + answer: the JSON that the verb printed
    + code: the exit code of the verb
    """
    if code == Exit.OK:
        return ()
    found = [
        *_texts(answer.get("problems")),
        *(_sentence(one, "cause", "next") for one in _objects(answer.get("causes"))),
        *_texts(answer.get("undecided")),
        *_first_not_done(answer.get("checks")),
        *_first_not_done(answer.get("steps")),
        *_parts_down(answer.get("parts")),
    ]
    return bounded(found) or (ended_with(code),)


def bounded(sentences: Iterable[str]) -> tuple[str, ...]:
    """Return the first sentences of a seat as they are shown: cut, and each in one line."""
    return tuple(_cut(sentence) for sentence in sentences if sentence)[:_MOST_SENTENCES]


def plan_in(answer: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a verb would do, in sentences, from its answer to `--dry-run`; empty if there is
    nothing to do, or if it is the answer to something else."""
    plans = answer.get("plan")
    if not isinstance(plans, dict):
        return ()
    return bounded(sentence for plan in plans.values() for sentence in _texts(plan))


@dataclass(frozen=True)
class Exercise:
    """How far a learner is: how many checks of the exercise pass, how many there are, and what
    comes next, "" when all is done."""

    done: int
    of: int
    next: str


def exercise_in(answer: Mapping[str, Any]) -> Exercise:
    """Return how far a learner is, from the answer of `verify`."""
    checks = _objects(answer.get("checks"))
    done = sum(one.get("status") == "ok" for one in checks)
    return Exercise(done, len(checks), _cut("".join(_first_not_done(checks))))


def ended_with(code: int) -> str:
    """Return a sentence for an exit code that nothing else explains."""
    if code == _NO_PROGRAM:
        return "there is no lab on this machine yet: `sopslab up inventories/seats.py` makes it"
    meaning = MEANINGS[Exit(code)] if code in set(Exit) else "no exit code of ours"
    return f"the verb ended with exit code {code} ({meaning}): run it on the seat itself"


def _is_deep(answer: object) -> bool:
    """Return whether an answer is nested too deeply to be written as JSON again."""
    level = [answer]
    for _ in range(_DEEPEST):
        level = [
            part
            for each in level
            if isinstance(each, dict | list)
            for part in (each.values() if isinstance(each, dict) else each)
        ]
    return bool(level)


def _texts(found: object) -> list[str]:
    return [each for each in found if isinstance(each, str)] if isinstance(found, list) else []


def _objects(found: object) -> list[dict[str, Any]]:
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _first_not_done(found: object) -> list[str]:
    """Return a sentence for the first check that did not pass; the checks after it depend on it."""
    for one in _objects(found):
        if one.get("status") in ("failed", "unknown"):
            return [f"{one.get('id')}: {_sentence(one, 'found', 'next')}"]
    return []


def _parts_down(found: object) -> list[str]:
    return [
        f"{part.get('name')}: {part.get('state')}" for part in _objects(found) if not part.get("up")
    ]


def _sentence(found: Mapping[str, Any], what: str, then: str) -> str:
    """Return a sentence: the text of the key `what`, followed by that of `then` if there is one."""
    said, step = str(found.get(what) or ""), str(found.get(then) or "")
    return f"{said.rstrip('.')}: {step}" if step else said


def _cut(text: str) -> str:
    # With line breaks in its text, a seat could print lines that look like another seat's.
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
