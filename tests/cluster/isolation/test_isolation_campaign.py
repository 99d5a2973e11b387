"""While some learners do what they can to hold up a class, another one works: her pushes have to be
in her Secret as quickly as ever."""

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

# The test compares times, which another lab at work would change.
pytestmark = [pytest.mark.soak, pytest.mark.exclusive, pytest.mark.every_provider]

# How often the working learner pushes during an attack at most.
PUSHES = 4


@dataclass
class Campaign:
    """The learners who attack, and the one who works."""

    attackers: tuple[Hostile, ...]
    eve: Hostile

    def usual(self) -> float:
        """Return how many seconds eve's deliveries take now, while nobody attacks."""
        return sorted(delivery(self.eve) for _ in range(3))[1].seconds


@pytest.fixture(scope="module")
def campaign(classroom: Classroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Two learners who attack at the same time, and one who works; all are put back."""
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
            # She makes her last push when the whole attack was sent and the lab works on it.
            reached = [attack.result() for attack in attacks]
            took.append(delivery(eve))
    finally:
        for learner in campaign.attackers:
            clear(learner, heads[learner.seat])
            run(["git", "reset", "--quiet", "--hard", heads[learner.seat]], cwd=learner.work)
            run(["git", "clean", "-qfdx"], cwd=learner.work)

    assert min(reached) > 0, f"an attack reached no server: {reached}"
    # Whatever else slows this machine down goes on after the attack: measure again.
    usual = max(usual, campaign.usual())
    assert max(took).seconds <= allowed(usual), f"{took}, without an attack {usual:.1f} s"
    assert (restarts(lab), _git_server_starts(lab)) == before, "something was killed"


def _git_server_starts(lab: Lab) -> str:
    text = "{{.State.StartedAt}} {{.State.OOMKilled}}"
    return run(["docker", "inspect", "--format", text, lab.git_server]).stdout
