"""Which learners ask for help, and which hints they were given: both are files in the bare
repositories of the learners."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Places
from sopslab.lab.tools import files
from sopslab.model.hints import RECORD, Given, parse_given
from sopslab.model.mark import MARK, parse_mark


def asked(places: Places, environment: Environment) -> float | None:
    """Return since when the learner of an environment has been asking for help, in seconds since
    1970; None if the learner does not ask."""
    return parse_mark(files.read(Path(bare_repository(places, environment), MARK)))


def given(places: Places, environment: Environment) -> Given:
    """Return the hints that were given in an environment."""
    return parse_given(files.read(Path(bare_repository(places, environment), RECORD)))
