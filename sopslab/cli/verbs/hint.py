"""`sopslab hint`: one hint at a time, for the step that an environment is at."""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli.terminal import echo, echo_json
from sopslab.cli.verbs._shared import (
    LOOKS_AT_A_TIME,
    end,
    json_option,
    lab_or_exit,
    own_learner_argument,
    problems_or_exit,
    refuse_ended,
)
from sopslab.config.enrolled import named_environments, read_enrolled
from sopslab.course import hints
from sopslab.errors import Exit
from sopslab.lab.tools.programs import keep_to_the_lab

if TYPE_CHECKING:
    from sopslab.config.settings import Settings
    from sopslab.course.chapter import Chapter


@click.command()
@own_learner_argument
@json_option
def hint(learner: str | None, as_json: bool) -> None:
    """Give one hint for the step that the learner ID is at; asked again, the next one.

    A step has three: a question, then where to look, then the commands. Once all were given, all
    are told again. How many there were is on record. A learner at a seat gets them by
    `git push origin HEAD:hint`.
    """
    # Imported here, because the help needs nothing that acts or looks.
    from sopslab.lab.act.asking import hint_given
    from sopslab.lab.observe.asking import given
    from sopslab.lab.observe.copies import bring

    asked = [] if learner is None else [learner]
    settings = lab_or_exit({"learners": asked}, as_json=as_json)
    with problems_or_exit(as_json=as_json):
        (environment,) = named_environments(settings, settings.learners)
        keep_to_the_lab(settings)
        is_seat = environment.is_seat
        refuse_ended(read_enrolled(settings), [environment.id])
        step, chapter = _seat(settings, environment.id) if is_seat else _alone(settings)
    if step is None:
        if as_json:
            echo_json(_as_dict(environment.id, None, 0, ()))
        else:
            echo("all steps of the chapter are done, so there is no hint to give")
        return
    bring(settings, [environment])
    before = given(settings, environment).of(step)
    told = hints.following(step, before, chapter, at_seat=is_seat)
    try:
        with problems_or_exit(as_json=as_json):
            if before < hints.LEVELS:
                hint_given(settings.for_machine, environment, step, time.time())
    except OSError as error:
        problem = f"the hint cannot be put on record: {error.filename}: {error.strerror}"
        end(Exit.FAILED, [problem], as_json=as_json)
    if as_json:
        echo_json(_as_dict(environment.id, step, min(before + 1, hints.LEVELS), told))
        return
    for line in hints.in_lines(step, before, told):
        echo(line)


def _seat(settings: Settings, learner: str) -> tuple[str | None, Chapter]:
    """Return the step that a seat is at, None if all are done, and the chapter with the names that
    apply there."""
    from sopslab.checks.board.judge import judge
    from sopslab.checks.board.steps import chapter_at
    from sopslab.config.environment import at_seat
    from sopslab.lab.observe.observer import Observer

    (seat,) = (one for one in read_enrolled(settings) if one.id == learner)
    environment = at_seat(seat)
    with ThreadPoolExecutor(LOOKS_AT_A_TIME) as executor:
        (seen,) = Observer(settings, executor).seats([environment])
    step = judge(seat, seen).open
    return None if step is None else step.id, chapter_at(environment)


def _alone(settings: Settings) -> tuple[str | None, Chapter]:
    """Return the same for the lab's own environment, as its learner sees it on this machine."""
    from sopslab.config.environment import solo
    from sopslab.lab import verification
    from sopslab.lab.observe.observer import Observer, viewpoint_of
    from sopslab.model.results import Status

    viewpoint = viewpoint_of(settings, solo(settings), Path.cwd())
    listed = verification.checks(embedded_server=settings.git_embedded)
    with ThreadPoolExecutor(LOOKS_AT_A_TIME) as executor:
        results = verification.verify(Observer(settings, executor), viewpoint, listed, 0)
    left = [one.id for one in results if one.status in (Status.FAILED, Status.UNKNOWN)]
    return left[0] if left else None, viewpoint.chapter


def _as_dict(
    learner: str, step: str | None, number: int, told: Sequence[hints.Hint]
) -> dict[str, object]:
    return {
        "ok": True,
        "learner": learner,
        "step": step,
        "hint": number,
        "of": hints.LEVELS,
        "hints": [{"text": one.text, "commands": list(one.commands)} for one in told],
    }
