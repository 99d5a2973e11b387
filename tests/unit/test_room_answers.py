"""The output of a seat is summed up in words and in sentences; foreign output does no harm."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sopslab.errors import Exit
from sopslab.model.events import Ended, Event, Operation, Planned, SeatEnded, Started, to_line
from sopslab.model.steps import Step
from sopslab.room.answers import (
    Answer,
    Exercise,
    Unreadable,
    changes_in,
    exercise_in,
    plan_in,
    problems_in,
)

FETCH = Operation(Step.ARTIFACTS, "Build the node image")
PROVE = Operation(Step.CANARY, "Prove it")
RUN: list[Event] = [
    Planned((FETCH, PROVE)),
    Started(FETCH),
    Ended(FETCH, changed=True, failed=False, seconds=1.0),
    Started(PROVE),
]


def told(answer: Answer, *lines: str) -> list[str]:
    found = (answer.take(line) for line in lines)
    return [doing for doing in found if doing is not None]


def test_events_tell_what_a_seat_does_and_the_rest_is_its_answer() -> None:
    answer = Answer()
    printed = json.dumps({"ok": True, "changed": 2}, indent=2).splitlines()
    lines = [to_line(event).rstrip("\n") for event in RUN]
    assert told(answer, *lines, *printed) == [
        "artifacts 1/2: Build the node image",
        "canary 2/2: Prove it",
    ]
    assert answer.parsed() == {"ok": True, "changed": 2}


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "started"}',
        '{"event": "started", "operation": 7}',
        '{"event": "nothing"}',
        '{"event": ["started"]}',
        '{"event": ' + "[" * 100_000,
        '{"event": "planned", "operations": [[[[',
        to_line(SeatEnded("zoe", 0, 7, 1.0)),
    ],
)
def test_an_event_that_is_none_of_a_run_says_nothing(line: str) -> None:
    assert told(Answer(), line) == []


def test_what_is_printed_without_end_is_not_kept() -> None:
    answer = Answer()
    with pytest.raises(Unreadable):
        for _ in range(10_000):
            answer.take("x" * 1_000)
    assert sum(map(len, answer.lines)) <= 1 << 20


@pytest.mark.parametrize("line", ["", '{"event": "nothing"}', to_line(Started(FETCH))])
def test_lines_without_end_are_not_taken(line: str) -> None:
    answer = Answer()
    with pytest.raises(Unreadable):
        for _ in range(2 << 20):
            answer.take(line)


def test_events_of_any_length_are_not_taken_without_end() -> None:
    answer = Answer()
    with pytest.raises(Unreadable):
        for _ in range(100):
            answer.take('{"event": "' + "x" * 1_000_000)


def test_what_a_seat_does_is_said_in_a_few_words() -> None:
    (doing,) = told(Answer(), to_line(Started(Operation(Step.GIT, "y" * 100_000))))
    assert len(doing) < 1_000


@pytest.mark.parametrize(
    "text",
    [
        "", "hello", "[1]", "7", "[" * 100_000, '{"ok": true} {}',
        '{"changed": NaN}', '{"changed": 1e999}', f'{{"deep": {"[" * 40}{"]" * 40}}}',
    ],
)  # fmt: skip
def test_what_is_no_object_is_no_answer(text: str) -> None:
    answer = Answer()
    answer.take(text)
    with pytest.raises(Unreadable):
        answer.parsed()


ANSWERS: dict[str, tuple[dict[str, Any], int, tuple[str, ...]]] = {
    "well": ({"ok": True, "problems": ["never said"]}, 0, ()),
    "run": ({"ok": False, "problems": ["a", "b"]}, 12, ("a", "b")),
    "verify": (
        {
            "checks": [
                {"id": "repository", "status": "ok", "found": "is there", "next": ""},
                {"id": "wired", "status": "failed", "found": "not listed.", "next": "list it"},
                {"id": "applied", "status": "not-run", "found": "waits", "next": ""},
            ]
        },
        1,
        ("wired: not listed: list it",),
    ),
    "doctor": (
        {"causes": [{"id": "x", "cause": "the key is gone", "next": "sopslab up"}]},
        1,
        ("the key is gone: sopslab up",),
    ),
    "status": (
        {"parts": [{"name": "cluster", "up": False, "state": "not there"}, {"up": True}]},
        1,
        ("cluster: not there",),
    ),
    "nothing-said": ({}, 13, ("the verb ended with exit code 13 (the Git server or a repository",)),
    "no-program": ({}, 127, ("there is no lab on this machine yet: ",)),
    "strange-code": ({}, 99, ("the verb ended with exit code 99 (no exit code of ours)",)),
    "strange": ({"problems": 7, "checks": [7], "causes": {"a": 1}, "parts": "x"}, 1, ("the verb",)),
}


@pytest.mark.parametrize("case", ANSWERS)
def test_why_it_did_not_go_well_is_said_in_sentences(case: str) -> None:
    answer, code, sentences = ANSWERS[case]
    found = problems_in(answer, code)
    assert len(found) == len(sentences)
    for said, begins in zip(found, sentences, strict=True):
        assert said.startswith(begins)


def test_what_is_said_stays_in_a_line_of_its_own() -> None:
    forged = "late\nbob: nothing to do\r\n\tzoe: gone\x85"
    assert problems_in({"problems": [forged]}, 1) == ("late bob: nothing to do zoe: gone",)
    (doing,) = told(Answer(), to_line(Started(Operation(Step.GIT, forged))))
    assert doing == "git 0/0: late bob: nothing to do zoe: gone"


def test_what_is_said_is_bounded() -> None:
    found = problems_in({"problems": ["z" * 10_000] * 10_000}, int(Exit.FAILED))
    assert len(found) <= 20 and max(map(len, found)) < 1_000


@pytest.mark.parametrize(
    ("changed", "counted"), [(3, 3), (True, 0), (-1, 0), ("3", 0), (None, 0), (10**9, 0)]
)
def test_only_a_number_counts_as_changes(changed: object, counted: int) -> None:
    assert changes_in({"changed": changed}) == counted


@pytest.mark.parametrize(
    ("plan", "told"),
    [
        ({"learner": ["main goes\nback", "", 3, "Flux is resumed"]}, 2),
        ({"learner": []}, 0), ({"learner": "main"}, 0), (["main"], 0), (None, 0),
        ({str(number): ["main goes back"] for number in range(100)}, 20),
    ],
    ids=["said", "nothing", "text", "list", "none", "many"],
)  # fmt: skip
def test_what_would_be_done_is_said_in_sentences(plan: object, told: int) -> None:
    sentences = plan_in({"plan": plan})
    assert len(sentences) == told and all(one == " ".join(one.split()) for one in sentences)


def test_how_far_a_learner_is_says_what_comes_next() -> None:
    answer = ANSWERS["verify"][0]
    assert exercise_in(answer) == Exercise(1, 3, "wired: not listed: list it")
    assert exercise_in({"checks": answer["checks"][:1]}) == Exercise(1, 1, "")
    assert exercise_in({}) == Exercise(0, 0, "")
