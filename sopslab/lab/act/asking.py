"""What is written down beside the learners' repositories: who was helped, and which hints there
were."""

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
    """Take the mark away from learners who ask for help; return since when they have asked, in
    seconds since 1970, by their ids."""
    since = {one.id: asked(lab, one) for one in environments}
    for one in environments:
        files.remove(Path(bare_repository(lab, one), MARK))
    return {who: time for who, time in since.items() if time is not None}


@where_repositories_are
def hint_given(lab: Lab, environment: Environment, step: str, now: float) -> None:
    """Have on record that a hint for a step was given; nothing where there is no repository.

    + now: in seconds since 1970
    """
    repository = Path(bare_repository(lab, environment))
    if repository.is_dir():
        record = render_given(given(lab, environment).with_another(step, now))
        # The Git server, too, has to read it: its folder hands on the group.
        files.write(repository / RECORD, record, 0o640)
