"""The notes beside learners' repositories: who asks for help, and which hints were given."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.observe.asking import asked, given
from sopslab.lab.tools import files
from sopslab.lab.tools.relay import where_repositories_are
from sopslab.model.hints import RECORD, render_given
from sopslab.model.mark import MARK


@where_repositories_are
def helped(lab: Lab, environments: list[Environment]) -> dict[str, float]:
    """Remove the mark of learners who ask for help, and return since when each has asked: by the
    learner's id, in seconds since 1970."""
    since = {one.id: asked(lab, one) for one in environments}
    for one in environments:
        files.remove(Path(bare_repository(lab, one), MARK))
    return {who: time for who, time in since.items() if time is not None}


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
