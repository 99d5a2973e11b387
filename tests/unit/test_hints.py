"""Hints: three for each step, with commands of the chapter; and how many were given."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given as generate
from hypothesis import strategies as st

from sopslab.checks.board.steps import STEPS
from sopslab.checks.rules.table import Step
from sopslab.cli.main import main
from sopslab.config.environment import Environment, at_seat, bare_repository, solo
from sopslab.config.settings import Learner, Settings
from sopslab.course import hints
from sopslab.course.chapter import SECRET, Chapter
from sopslab.files.render import render_tree
from sopslab.lab.act.asking import hint_given
from sopslab.lab.observe.asking import given
from sopslab.layout import TEMPLATES
from sopslab.model import results
from sopslab.model.hints import RECORD, Given, parse_given, render_given
from tests.commands import enrol, say_format
from tests.unit.learner.conftest import commands, course_variables, inline, seat_variables

ALONE = Chapter(SECRET, "learner")
SEAT = Chapter(SECRET, "lab", namespace="zoe-develop", system="lab-zoe-sys")
PLACES = {False: ALONE, True: SEAT}
EVERY = [(step, seat) for seat in PLACES for step in hints.steps(at_seat=seat)]
ADA = at_seat(Learner(id="ada", name="Ada", email="ada@example.org"))


def of(step: str, *, at_seat: bool) -> hints.Hints:
    return hints.hints_for(step, PLACES[at_seat], at_seat=at_seat)


def told_to_type(variables: dict[str, object]) -> set[str]:
    """Return every command in the course files of a learner's repository."""
    texts = [
        one.content.decode()
        for name, one in render_tree(TEMPLATES / "learner", variables).items()
        if name.endswith(".md")
    ]
    return {command for text in texts for command in [*commands(text), *inline(text)]}


def test_every_step_has_hints() -> None:
    assert hints.steps(at_seat=True) == list(STEPS)
    assert hints.steps(at_seat=False) == list(Step)


@pytest.mark.parametrize(("step", "at_seat"), EVERY)
def test_hints_go_from_a_question_to_what_helps(step: str, at_seat: bool) -> None:
    question, where, solution = of(step, at_seat=at_seat)

    assert question.text.endswith("?")
    assert question.commands == ()
    assert where.commands
    assert solution.commands
    assert len({question, where, solution}) == 3
    for hint in (question, where, solution):
        assert "{" not in "".join([hint.text, *hint.commands])


@pytest.mark.parametrize("at_seat", [False, True])
def test_hints_name_only_commands_of_the_chapter(at_seat: bool) -> None:
    variables = (seat_variables if at_seat else course_variables)("age1own", "age1instructor")
    known = told_to_type(dict(variables))
    named = {
        command
        for step in hints.steps(at_seat=at_seat)
        for hint in of(step, at_seat=at_seat)
        for command in hint.commands
    }

    assert named - known == set()


def test_a_command_starts_in_the_clone_if_that_is_elsewhere() -> None:
    chapter = Chapter(SECRET, "learner", work="/a b")
    _, where, solution = hints.hints_for("encrypted", chapter, at_seat=False)

    assert where.commands == ("cd '/a b' && cat flux/secrets/develop/backend-secrets.yaml",)
    assert solution.commands[0].startswith("cd '/a b' && scripts/")
    assert hints.hints_for("tools", chapter, at_seat=False)[1].commands[0] == "command -v sops"


def test_what_follows_the_last_hint_is_all_of_them() -> None:
    three = of("wired", at_seat=True)
    following = [hints.following("wired", count, SEAT, at_seat=True) for count in range(5)]

    assert following == [*((one,) for one in three), three, three]
    lines = hints.in_lines("wired", 1, following[1])
    assert lines == ["Hint 2 of 3, for the step `wired`:", three[1].text, "  git diff"]
    assert hints.in_lines("wired", 3, three)[0].startswith("All 3 hints, since there are no others")


# The record


@generate(
    st.dictionaries(
        st.text(max_size=9),
        st.lists(st.floats(0, 1e12), max_size=4).map(tuple),
        max_size=4,
    )
)
def test_a_record_is_read_as_it_was_written(times: dict[str, tuple[float, ...]]) -> None:
    assert parse_given(render_given(Given(times)).encode()) == Given(times)


@pytest.mark.parametrize(
    "text", [None, b"", b"[", b"[1]", b'"x"', b'{"a": 1}', b'{"a": [null]}', b"\xff"]
)
def test_what_is_no_record_counts_nothing(text: bytes | None) -> None:
    assert parse_given(text) == Given()


def test_each_step_counts_by_itself() -> None:
    record = Given().with_another("wired", 1).with_another("wired", 2).with_another("key", 3)

    assert (record.of("wired"), record.of("key"), record.of("secret"), record.count) == (2, 1, 0, 3)
    assert record.times == {"wired": (1, 2), "key": (3,)}


def test_hints_are_on_record_privately_and_only_beside_a_repository(
    lab: Callable[..., Settings],
) -> None:
    settings = lab()
    hint_given(settings.for_machine, ADA, "wired", 1.0)
    bare = Path(bare_repository(settings, ADA))
    assert not bare.exists()
    assert given(settings, ADA) == Given()

    bare.mkdir(parents=True)
    hint_given(settings.for_machine, ADA, "wired", 1.0)
    hint_given(settings.for_machine, ADA, "wired", 2.0)
    assert given(settings, ADA) == Given({"wired": (1.0, 2.0)})
    assert (bare / RECORD).stat().st_mode & 0o777 == 0o640
    assert [path.name for path in bare.iterdir()] == [RECORD]


# The command


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | None], None]:
    """Return a function that puts every environment at a step; None is for a learner who is
    done."""

    def stand(step: str | None) -> None:
        monkeypatch.setattr("sopslab.cli.verbs.hint._seat", lambda *_: (step, SEAT))
        monkeypatch.setattr("sopslab.cli.verbs.hint._alone", lambda *_: (step, ALONE))

    return stand


@pytest.fixture(autouse=True)
def _environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sopslab.cli.verbs.hint.keep_to_the_lab", lambda _settings: None)


def hint(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["hint", *arguments])


def repository(settings: Settings, environment: Environment) -> None:
    Path(bare_repository(settings, environment)).mkdir(parents=True)


def test_each_call_gives_the_next_hint_and_another_step_its_first(
    settings: Settings, at: Callable[[str | None], None]
) -> None:
    say_format(settings)
    repository(settings, solo(settings))
    at("wired")
    began = time.time()
    said = [hint().stdout.splitlines() for _ in range(4)]
    at("committed")
    said.append(hint().stdout.splitlines())

    assert [lines[0] for lines in said] == [
        "Hint 1 of 3, for the step `wired`:",
        "Hint 2 of 3, for the step `wired`:",
        "Hint 3 of 3, for the step `wired`:",
        "All 3 hints, since there are no others, for the step `wired`:",
        "Hint 1 of 3, for the step `committed`:",
    ]
    assert said[3][1:] == [*said[0][1:], *said[1][1:], *said[2][1:]]
    record = given(settings, solo(settings))
    assert {step: len(times) for step, times in record.times.items()} == {
        "wired": 3,
        "committed": 1,
    }
    assert all(began <= one <= time.time() for times in record.times.values() for one in times)


def test_a_seat_has_hints_of_its_own_beside_those_that_the_hook_gave(
    settings: Settings, at: Callable[[str | None], None]
) -> None:
    enrol(settings, "ada", "bob")
    repository(settings, ADA)
    Path(bare_repository(settings, ADA), RECORD).write_text(render_given(Given({"pushed": (1.0,)})))
    at("pushed")
    told = json.loads(hint("ada", "--json").stdout)

    assert (told["learner"], told["step"], told["hint"], told["of"]) == ("ada", "pushed", 2, 3)
    (second,) = told["hints"]
    assert second == {"text": of("pushed", at_seat=True)[1].text, "commands": ["git status"]}
    assert given(settings, ADA).of("pushed") == 2


def test_who_is_done_gets_no_hint(settings: Settings, at: Callable[[str | None], None]) -> None:
    say_format(settings)
    at(None)

    done = hint()
    assert done.exit_code == 0
    assert done.stdout == "all steps of the chapter are done, so there is no hint to give\n"
    assert json.loads(hint("--json").stdout)["step"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "name the learners: ada"), (("eve",), "there is no environment of eve: known are ada")],
)
def test_whose_hint_is_asked_for_has_to_be_clear(
    settings: Settings,
    at: Callable[[str | None], None],
    arguments: Sequence[str],
    said: str,
) -> None:
    enrol(settings, "ada")
    at("wired")
    done = hint(*arguments)

    assert done.exit_code == 2
    assert done.stderr.startswith(said)


def test_the_step_of_a_lone_learner_is_the_first_check_that_does_not_pass(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    say_format(settings)
    repository(settings, solo(settings))
    found = [
        results.Result(name, status, "", "", 0)
        for name, status in (
            ("tools", results.Status.OK),
            ("cluster", results.Status.NOT_RUN),
            ("key", results.Status.UNKNOWN),
            ("wired", results.Status.FAILED),
        )
    ]
    viewpoint: Any = SimpleNamespace(chapter=ALONE)
    monkeypatch.setattr("sopslab.lab.observe.observer.viewpoint_of", lambda *_: viewpoint)
    monkeypatch.setattr("sopslab.lab.verification.verify", lambda *_: found)

    assert hint().stdout.startswith("Hint 1 of 3, for the step `key`:")
