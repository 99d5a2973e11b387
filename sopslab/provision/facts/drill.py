"""Facts about drills: which are staged, and whether they are on main."""

from __future__ import annotations

from pyinfra.api import StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.lab.observe.drills import drills
from sopslab.model.drills import DrillState
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact


class Drills(LabFact[dict[str, DrillState]]):
    """
    Returns the leaks that are staged, by the learner's id.

    .. code:: python

        {"ada": DrillState(Staged("4f1c…", "9b2d…", "77ab…", "1f3a…"), on_main=True)}
    """

    look = drills
    default = dict

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return looking(settings, drills, environments=environments)
