"""Facts about how far environments are from a checkpoint, each of them one look for all."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.lab.observe import checkpoints
from sopslab.model.repositories import RepositoryState
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class Repositories(LabFact[dict[str, RepositoryState]]):
    """
    Returns how each learner's repository stands to a checkpoint.

    .. code:: python

        {"ada": RepositoryState("4f1c…", "9b2d…", lost=3, saved="saved/20270301T090000Z")}
    """

    look = checkpoints.repository_states
    default = dict

    @override
    def command(
        self, settings: Settings, environments: list[Environment], checkpoint: str, saved: str
    ) -> StringCommand:
        return looking(
            settings,
            checkpoints.repository_states,
            environments=environments,
            checkpoint=checkpoint,
            saved=saved,
        )
