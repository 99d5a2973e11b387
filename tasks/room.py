"""The steps of a room: what is done at the machine of each learner."""

from __future__ import annotations

from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.room import operations as room


@step(Step.SEATS)
def provide_seat(settings: Settings) -> None:
    """Give the seat the whole lab, for its learner."""
    room.lab(name="Give the seats their labs", settings=settings, words=settings.verb or ("up",))


@step(Step.SEATS)
def run_verb(settings: Settings) -> None:
    """Run a verb on the seat's own machine."""
    room.verb(name="Run the verb at the seats", settings=settings, words=settings.verb)
