"""While some learners of a class do what they can to hold it up, another one works: what she pushes
has to be in her Secret as soon as ever."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.cluster.classroom import Classroom
from tests.cluster.isolation.campaign import ATTACKS, allowed, delivery, wire
from tests.cluster.isolation.hostile import Hostile, as_before, clear, restarts
from tests.cluster.lab import Lab, run

# It compares times, which a lab at work beside it would change.
pytestmark = [pytest.mark.soak, pytest.mark.exclusive, pytest.mark.every_provider]

# How often she pushes at most during an attack.
PUSHES = 4


@dataclass
class Campaign:
    """Who attacks, and who works."""

    attackers: tuple[Hostile, ...]
    eve: Hostile

    def usual(self) -> float:
        """Return what her deliveries take now, while nobody attacks: seconds."""
        return sorted(delivery(self.eve) for _ in range(3))[1].seconds


@pytest.fixture(scope="module")
def campaign(classroom: Classroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Two who attack at once and one who works; all are put back."""
    folder = tmp_path_factory.mktemp("campaign")
    ada, bob, eve = (Hostile(classroom, seat, folder) for seat in ("ada", "bob", "eve"))
    with ExitStack() as stack:
        stack.enter_context(as_before(ada, bob, eve))
        wire(eve)
        yield Campaign((ada, bob), eve)


@pytest.mark.parametrize("name", ATTACKS)
def test_what_another_learner_pushes_is_delivered_meanwhile(campaign: Campaign, name: str) -> None:
    lab, eve = campaign.eve.lab, campaign.eve
    heads = {learner.seat: learner.classroom.head(learner.seat) for learner in campaign.attackers}
    before = (restarts(lab), _git_server_starts(lab))
    usual = campaign.usual()
    try:
        with ThreadPoolExecutor(len(campaign.attackers)) as pool:
            attacks = [pool.submit(ATTACKS[name], learner) for learner in campaign.attackers]
            took = [delivery(eve)]
            while len(took) < PUSHES and not all(attack.done() for attack in attacks):
                took.append(delivery(eve))
            # Her last one comes when all of it has been sent and is worked on.
            for attack in attacks:
                attack.result()
            took.append(delivery(eve))
    finally:
        for learner in campaign.attackers:
            clear(learner, heads[learner.seat])
            run(["git", "reset", "--quiet", "--hard", heads[learner.seat]], cwd=learner.work)
            run(["git", "clean", "-qfdx"], cwd=learner.work)

    # What else the machine does goes on after the attack as before it.
    usual = max(usual, campaign.usual())
    assert max(took).seconds <= allowed(usual), f"{took}, without an attack {usual:.1f} s"
    assert (restarts(lab), _git_server_starts(lab)) == before, "something was killed"


def _git_server_starts(lab: Lab) -> str:
    text = "{{.State.StartedAt}} {{.State.OOMKilled}}"
    return run(["docker", "inspect", "--format", text, lab.git_server]).stdout
