"""`sopslab quiz`: the questions of the chapter, in the terminal."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.course.chapter import ANSWERS_FILE

if TYPE_CHECKING:
    from sopslab.cli.console import Console
    from sopslab.course.quiz import Question


@click.command()
@click.option(
    "--only",
    "numbers",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Ask question N only; may be repeated.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, writable=True, path_type=Path),
    metavar="FILE",
    help=f"Write your answers to a file, beside those that it has. Push it as {ANSWERS_FILE} if"
    " your instructor is to see them.",
)
def quiz(numbers: tuple[int, ...], record: Path | None) -> None:
    """Ask the questions of the chapter, explain each answer, and count.

    Answer with a letter, or a word where there are no letters. An empty answer shows the
    solution; end of input (Ctrl-D) ends the quiz.
    """
    # Imported here: it takes long, and the help does not need it.
    from sopslab.cli.console import Console
    from sopslab.course.quiz import QUIZ_FILE, QuizError, load_quiz

    try:
        questions = load_quiz(QUIZ_FILE)
    except QuizError as error:
        raise click.ClickException(str(error)) from error
    if numbers and max(numbers) > len(questions):
        raise click.BadParameter(
            f"there are {len(questions)} questions, so there is no question {max(numbers)}.",
            param_hint="--only",
        )
    chosen = sorted(set(numbers)) or range(1, len(questions) + 1)
    console = Console()
    right = asked = 0
    given: dict[int, str] = {}
    for number in chosen:
        answer = _ask(console, number, questions[number - 1])
        if answer is None:
            break
        asked += 1
        right += _answered(console, questions[number - 1], answer)
        if answer:
            given[number] = answer
    if asked < len(chosen):
        console.print(f"\nStopped after {asked} of {len(chosen)} questions.")
    console.print(f"\nYou got {right} of {asked} right.", style="bold")
    if record is not None:
        _record(record, given)


def _ask(console: Console, number: int, question: Question) -> str | None:
    """Ask a question and return the answer; None at the end of input."""
    console.print(f"\n{number}. {question.question}", style="bold")
    for letter, text in question.choices.items():
        console.print(f"   {letter}) {text}")
    console.print("> ", end="")
    line = sys.stdin.readline()
    return line.strip() if line else None


def _answered(console: Console, question: Question, given: str) -> bool:
    """Return whether an answer is right, and say so."""
    from sopslab.course.quiz import grade

    correct = grade(question, given)
    solution = question.answer
    if question.choices:
        solution = f"{solution}) {question.choices[solution]}"
    if correct:
        console.print("✓ Right.", style="green")
    else:
        verdict = "✗ Not quite." if given else "The answer:"
        console.print(f"{verdict} {solution}", style="red" if given else "")
    console.print(question.why)
    return correct


def _record(file: Path, given: dict[int, str]) -> None:
    from sopslab.course.quiz import answers_as_text, answers_in

    try:
        before = answers_in(file.read_text(encoding="utf-8")) if file.exists() else {}
        file.write_text(answers_as_text({**before, **given}), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise click.ClickException(f"{file} cannot be written: {reason}") from error
