"""The quiz: its file, its grading, and `sopslab quiz`."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from sopslab.cli.verbs.quiz import quiz
from sopslab.course.quiz import (
    QUIZ_FILE,
    Question,
    QuizError,
    answers_in,
    grade,
    load_quiz,
    right,
    template_variable,
)

QUESTIONS = load_quiz(QUIZ_FILE)
VALID: Mapping[str, object] = {
    "id": "one",
    "question": "Which?",
    "choices": {"A": "this", "B": "that"},
    "answer": "A",
    "why": "because",
    "mistake": "that",
    "look_at": "this",
}


def with_changes(**changes: object) -> dict[str, object]:
    return {**VALID, **changes}


# --- the file ----------------------------------------------------------------------------------


def test_the_course_asks_at_least_twelve_questions() -> None:
    assert len(QUESTIONS) >= 12


def test_the_questions_of_the_chapter_are_among_them() -> None:
    asked = " ".join(question.question for question in QUESTIONS)

    assert "role of the Secret sops-age" in asked
    assert "Which file defines how secrets are encrypted with age" in asked
    assert "right order of steps" in asked


def test_no_letter_is_right_too_often() -> None:
    letters = [question.answer for question in QUESTIONS if question.choices]

    assert max(letters.count(letter) for letter in "ABCD") <= len(letters) / 2


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([with_changes(answer="C")], "not one of the choices"),
        ([with_changes(choices={"A": "only"})], "two or more"),
        ([with_changes(choices={"B": "x", "A": "y"})], "order of their letters"),
        ([with_changes(accept=["this"])], "without choices"),
        ([with_changes(why=" ")], "question 0.why"),
        ([with_changes(extra="x")], "question 0.extra"),
        ([VALID, VALID], "more than once: one"),
        ("no list", "question"),
    ],
)
def test_a_bad_quiz_is_refused(tmp_path: Path, content: object, said: str) -> None:
    path = tmp_path / "quiz.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))

    with pytest.raises(QuizError, match=said):
        load_quiz(path)


def test_all_mistakes_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "quiz.yaml"
    path.write_text(yaml.safe_dump([with_changes(why=""), with_changes(answer="F")]))

    with pytest.raises(QuizError) as caught:
        load_quiz(path)

    assert "question 0.why" in str(caught.value)
    assert "question 1" in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff", b"a: [", None])
def test_an_unreadable_quiz_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "quiz.yaml"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(QuizError, match=r"quiz\.yaml"):
        load_quiz(path)


# --- grading -----------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["A", "a", " a ", "A)", "a.", "(a)", "`a`.", '"a." '])
def test_a_letter_counts_however_it_is_written(given: str) -> None:
    assert grade(Question.model_validate(VALID), given)


@pytest.mark.parametrize("given", ["", "B", "AB", "this"])
def test_other_answers_do_not_count(given: str) -> None:
    assert not grade(Question.model_validate(VALID), given)


@pytest.mark.parametrize("given", [".sops.yaml", "`.sops.yaml`", "./.sops.yaml", ".SOPS.yaml."])
def test_a_word_counts_however_it_is_quoted(given: str) -> None:
    (question,) = [q for q in QUESTIONS if q.id == "file-with-the-rules"]

    assert grade(question, given)


def test_every_question_accepts_its_own_answer() -> None:
    assert all(grade(question, question.answer) for question in QUESTIONS)


def test_templates_get_plain_data() -> None:
    first = template_variable(QUESTIONS)[0]

    assert first["answer"] == QUESTIONS[0].answer
    assert isinstance(first["choices"], dict)


# --- the command -------------------------------------------------------------------------------


def run(*arguments: str, answers: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(quiz, arguments, input=answers)
    return result.exit_code, result.output


def test_all_right_answers_are_counted() -> None:
    answers = "".join(f"{question.answer}\n" for question in QUESTIONS)

    code, output = run(answers=answers)

    assert code == 0
    assert f"You got {len(QUESTIONS)} of {len(QUESTIONS)} right." in output


def test_a_wrong_answer_is_explained_and_is_no_error() -> None:
    code, output = run("--only", "1", answers="B\n")

    assert code == 0
    assert "✗ Not quite. A) It holds the private age key" in output
    assert "You got 0 of 1 right." in output


def test_an_empty_answer_shows_the_solution() -> None:
    code, output = run("--only", "2", answers="\n")

    assert code == 0
    assert "The answer: .sops.yaml" in output


def test_the_end_of_input_ends_the_quiz() -> None:
    code, output = run(answers="A\n")

    assert code == 0
    assert f"Stopped after 1 of {len(QUESTIONS)} questions." in output
    assert "You got 1 of 1 right." in output


def test_only_can_be_repeated() -> None:
    _, output = run("--only", "3", "--only", "1", answers="A\nB\n")

    assert output.index("1. What") < output.index("3. What")
    assert "You got 2 of 2 right." in output


@pytest.mark.parametrize("number", ["0", "99", "x"])
def test_a_question_that_is_not_there_is_wrong_usage(number: str) -> None:
    code, output = run("--only", number)

    assert code == 2
    assert "--only" in output


def test_brackets_in_a_text_are_shown_as_they_are() -> None:
    (number,) = [n for n, q in enumerate(QUESTIONS, 1) if q.id == "sops-block-is-no-proof"]

    assert "begins with ENC[." in " ".join(run("--only", str(number), answers="b\n")[1].split())


# --- recorded answers ----------------------------------------------------------------------------


def test_answers_are_read_however_they_are_written() -> None:
    text = "My answers\n1: B\n 2) two words \n3.c\n1: A\nx: B\n4:\n"

    assert answers_in(text) == {1: "A", 2: "two words", 3: "c"}


def test_only_right_answers_to_questions_that_are_asked_count() -> None:
    wrong = next(letter for letter in QUESTIONS[0].choices if letter != QUESTIONS[0].answer)

    assert right(QUESTIONS, {1: QUESTIONS[0].answer, 99: "A", 0: "A"}) == 1
    assert right(QUESTIONS, {1: wrong}) == 0


def test_recorded_answers_stand_beside_those_of_before(tmp_path: Path) -> None:
    file = tmp_path / "answers"
    file.write_text("1: A\n2: B\n")
    ended = CliRunner().invoke(
        quiz, ["--only", "2", "--only", "3", "--record", str(file)], input="C\n\n"
    )

    assert ended.exit_code == 0, ended.output
    assert answers_in(file.read_text()) == {1: "A", 2: "C"}, "an empty answer is none"


def test_without_record_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    CliRunner().invoke(quiz, ["--only", "1"], input="A\n")

    assert not list(tmp_path.iterdir())
