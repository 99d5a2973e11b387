"""The quiz of the chapter: its questions, and how answers are graded.

`templates/quiz.yaml` is the only source. The learner's quiz.md, the instructor's answer key and
`sopslab quiz` are all made from it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import whitespace
from typing import Annotated

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from sopslab.errors import LabError
from sopslab.layout import PROJECT
from sopslab.model.yaml_loader import LOADER

QUIZ_FILE = PROJECT / "templates" / "quiz.yaml"

_ANSWER = re.compile(r"\s*([0-9]{1,3})\s*[:.)]\s*(\S.*)")

Text = Annotated[str, StringConstraints(min_length=1, strip_whitespace=True)]
Letter = Annotated[str, StringConstraints(pattern="^[A-F]$")]


class QuizError(LabError):
    """A quiz file cannot be used. The text names everything that is wrong with it."""


class Question(BaseModel):
    """One question. With choices, its answer is a letter; without choices, a word or two."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9-]*$")]
    question: Text
    choices: dict[Letter, Text] = Field(default_factory=dict)
    answer: Text
    accept: tuple[Text, ...] = ()
    why: Text
    mistake: Text
    look_at: Text

    @model_validator(mode="after")
    def _answerable(self) -> Question:
        if self.choices:
            if len(self.choices) < 2 or list(self.choices) != sorted(self.choices):
                raise ValueError("choices are two or more, in the order of their letters")
            if self.answer not in self.choices:
                raise ValueError(f"the answer {self.answer!r} is not one of the choices")
            if self.accept:
                raise ValueError("accept is for questions without choices")
        return self


def load_quiz(path: Path) -> tuple[Question, ...]:
    """Return the questions of a quiz file. Raises QuizError with everything that is wrong with
    it."""
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), LOADER)
        questions = TypeAdapter(tuple[Question, ...]).validate_python(raw)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise QuizError(f"{path}: {error}") from error
    except ValidationError as error:
        problems = [
            f"question {'.'.join(str(part) for part in problem['loc'])}: {problem['msg']}"
            for problem in error.errors(include_url=False, include_input=False)
        ]
        raise QuizError("\n".join([f"{path}:", *problems])) from error
    repeated = sorted({q.id for q in questions if [p.id for p in questions].count(q.id) > 1})
    if repeated:
        raise QuizError(f"{path}: ids used more than once: {', '.join(repeated)}")
    return questions


def grade(question: Question, given: str) -> bool:
    """Return whether an answer is right. Case, surrounding spaces, quotes and parentheses, and a
    final dot do not matter."""
    plain = _plain(given)
    return any(plain == _plain(accepted) for accepted in (question.answer, *question.accept))


def answers_in(text: str) -> dict[int, str]:
    """Return the answers that a learner recorded, by the number of the question. Other lines are
    ignored. If a question has two answers, the last one counts."""
    found = filter(None, map(_ANSWER.fullmatch, text.splitlines()))
    return {int(one[1]): one[2].strip() for one in found}


def answers_as_text(answers: Mapping[int, str]) -> str:
    """Return the text in which a learner records answers."""
    return "".join(f"{number}: {answers[number]}\n" for number in sorted(answers))


def right(questions: Sequence[Question], answers: Mapping[int, str]) -> int:
    """Return how many of the questions have a right answer."""
    return sum(
        number in answers and grade(question, answers[number])
        for number, question in enumerate(questions, 1)
    )


def _plain(text: str) -> str:
    around = "`'\"()" + whitespace
    return text.lstrip(around).rstrip(f"{around}.").casefold()


def template_variable(questions: tuple[Question, ...]) -> list[dict[str, object]]:
    """Return the questions as the templates use them, under the name `quiz`."""
    return [question.model_dump() for question in questions]
