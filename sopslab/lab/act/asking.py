"""The notes beside learners' repositories: who asks for help, and which hints were given."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.observe.asking import given
from sopslab.lab.tools import files
from sopslab.lab.tools.relay import where_repositories_are
from sopslab.model.hints import RECORD, render_given
from sopslab.model.mark import MARK, parse_mark


@where_repositories_are
def helped(lab: Lab, environments: list[Environment]) -> dict[str, float]:
    """Remove the mark of learners who ask for help, and return since when each has asked: by the
    learner's id, in seconds since 1970."""
    since = {one.id: _taken_back(lab, one) for one in environments}
    return {who: time for who, time in since.items() if time is not None}


def _taken_back(lab: Lab, environment: Environment) -> float | None:
    mark = Path(bare_repository(lab, environment), MARK)
    # Out of the way first: a mark that the learner sets from now on is another one, and stays.
    old = mark.with_name(f".{MARK}.new")
    try:
        mark.rename(old)
    except FileNotFoundError:
        return None
    since = parse_mark(files.read(old))
    files.remove(old)
    return since


@where_repositories_are
def hint_given(lab: Lab, environment: Environment, step: str, now: float) -> None:
    """Record that a hint for a step was given; do nothing where there is no repository.

    + now: the present time, in seconds since 1970
    """
    repository = Path(bare_repository(lab, environment))
    if repository.is_dir():
        record = render_given(given(lab, environment).with_another(step, now))
        # The Git server has to read it, too: the file inherits the server's group from its folder.
        files.write(repository / RECORD, record, 0o640)
