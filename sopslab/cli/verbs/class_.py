"""`sopslab class`: the class as a whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from sopslab.cli.terminal import echo
from sopslab.cli.verbs._shared import problems_or_exit, settings_or_exit
from sopslab.errors import Exit, LabError
from sopslab.files.privatefile import write_private

if TYPE_CHECKING:
    from sopslab.config.settings import Settings


@click.group("class")
def class_() -> None:
    """Look back on a class."""


@class_.command()
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="The folder to write to, instead of the lab's own.",
)
def report(output: Path | None) -> None:
    """Write what the class did: who finished, how long each step took, and who got stuck where.

    class.html is for people, class.csv for a spreadsheet, and ID.xml (JUnit) for a grade book. The
    times of steps are on record only for as long as `sopslab board` was open. Passwords, keys,
    values and e-mail addresses are in none of them; a quiz counts only where the learner has pushed
    the answers. Names are: the files are for the owner's eyes only.
    """
    settings = settings_or_exit()
    with problems_or_exit(as_json=False):
        files = _files(settings)
        folder = output or Path(settings.class_dir) / "report"
        _write(folder, files)
    echo(f"The report is in {folder}: class.html, class.csv, and {len(files) - 2} files for a")
    echo("grade book. They name people: keep them for yourself.")


def _files(settings: Settings) -> Mapping[str, str]:
    # Imports that the help does not need.
    from sopslab.cli import lesson_report
    from sopslab.lab.board import AT_A_TIME
    from sopslab.lab.lesson import look_back
    from sopslab.lab.parts import accepted_lacks
    from sopslab.web.report import page

    written = time.time()
    with ThreadPoolExecutor(AT_A_TIME) as executor:
        lacks = executor.submit(accepted_lacks, settings)
        lesson = look_back(settings, executor)
    began = datetime.fromtimestamp(lesson.begun or written, UTC)
    return {
        "class.html": page(settings.lab, lesson, written, lacks.result()),
        "class.csv": lesson_report.as_csv(lesson),
        **{
            f"{learner.row.seat.id}.xml": lesson_report.as_junit(learner, began)
            for learner in lesson.learners
        },
    }


def _write(folder: Path, files: Mapping[str, str]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name, text in files.items():
            write_private(folder / name, text.encode())
    except OSError as error:
        raise LabError(
            f"the report cannot be written to {folder}: {error.strerror}", Exit.INPUT
        ) from None
