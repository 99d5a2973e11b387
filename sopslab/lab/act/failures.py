"""Record the failure of one environment in a file of its own, while the others go on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sopslab.checks import causes
from sopslab.config.places import Places
from sopslab.errors import LabError
from sopslab.lab.tools import files
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed
from sopslab.model.results import Undecided


def fail(places: Places, who: str, sentence: str) -> None:
    """Record that an environment failed in this run, and why."""
    files.write(Path(places.class_dir, "failed", who), f"{sentence}\n")


def fail_first(places: Places, who: str, sentence: str) -> None:
    """Record why an environment failed, unless it has failed before in this run: the first reason
    counts."""
    if not has_failed(places, who):
        fail(places, who, sentence)


def record(places: Places, reasons: dict[str, str]) -> None:
    """Record that environments failed in this run, and why."""
    for who, sentence in reasons.items():
        fail(places, who, sentence)


def has_failed(places: Places, who: str) -> bool:
    """Whether an environment has failed in this run."""
    return Path(places.class_dir, "failed", who).exists()


@contextmanager
def attempt(places: Places, who: str, what: str) -> Iterator[None]:
    """Record what fails in the block as a failure of this environment only, with the reason.

    + what: what could not be done, as a sentence
    """
    try:
        yield
    except Failed as failure:
        fail(places, who, f"{what}: {told(failure)}")
    except (LabError, Undecided) as error:
        fail(places, who, f"{what}: {error}")
    except OSError as error:
        fail(places, who, f"{what}: {meaning_of(error)}")


def meaning_of(error: OSError) -> str:
    """Return what an error of the operating system means; if that is not known, the error is
    written to the log, as in `told`."""
    return told(Failed("", f"{error}\n".encode()))


def told(failure: Failed) -> str:
    """Return what a program's failure means; if that is not known, the program's words are written
    to the log."""
    meaning = causes.reason(failure.lines)
    if meaning.endswith(causes.LOGGED):
        log(failure.words)
    return meaning
