"""`sopslab quiz`: the questions of the chapter, in the terminal."""

from __future__ import annotations

import sys

import click

from sopslab.cli.console import Console
from sopslab.course.quiz import QUIZ_FILE, Question, QuizError, grade, load_quiz

__all__ = ["quiz"]


@click.command()
@click.option(
    "--only",
    "numbers",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="Ask question N only; may be repeated.",
)
def quiz(numbers: tuple[int, ...]) -> None:
    """Ask the questions of the chapter, explain each answer, and count.

    Answer with a letter, or a word where there are no letters. An empty answer shows the
    solution; end of input (Ctrl-D) ends the quiz.
    """
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
    for number in chosen:
        correct = _ask(console, number, questions[number - 1])
        if correct is None:
            break
        asked += 1
        right += correct
    if asked < len(chosen):
        console.print(f"\nStopped after {asked} of {len(chosen)} questions.")
    console.print(f"\nYou got {right} of {asked} right.", style="bold")


def _ask(console: Console, number: int, question: Question) -> bool | None:
    """Ask one question and return whether the answer is right; None if there was no more input."""
    console.print(f"\n{number}. {question.question}", style="bold")
    for letter, text in question.choices.items():
        console.print(f"   {letter}) {text}")
    console.print("> ", end="")
    line = sys.stdin.readline()
    if not line:
        return None
    given = line.strip()
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
