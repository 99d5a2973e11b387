"""While some learners of a class do what they can to hold it up, another one works: what she pushes
has to be in her Secret as soon as ever."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.cluster.classroom import Classroom
from tests.cluster.isolation.campaign import ATTACKS
from tests.cluster.isolation.hostile import SECRETS, Hostile, as_before, clear, restarts
from tests.cluster.lab import Lab, mostly_soak, run, wait_until

pytestmark = pytest.mark.soak

# What a delivery may take while others attack: seconds, and as a multiple of what it takes without.
PROMISED, SLOWER = 3.0, 3.0
# Where the test gives up, and how often she pushes at most during an attack.
PATIENCE, PUSHES = 20.0, 4
NAME = "probe"


@dataclass
class Campaign:
    """Who attacks, who works, and what her deliveries take while nobody attacks."""

    attackers: tuple[Hostile, ...]
    eve: Hostile
    usual: float

    @property
    def allowed(self) -> float:
        """The seconds that a delivery may take."""
        return max(PROMISED, SLOWER * self.usual)


@pytest.fixture(scope="module")
def campaign(classroom: Classroom, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Campaign]:
    """Two who attack at once and one who works; all are put back."""
    folder = tmp_path_factory.mktemp("campaign")
    ada, bob, eve = (Hostile(classroom, seat, folder) for seat in ("ada", "bob", "eve"))
    with ExitStack() as stack:
        stack.enter_context(as_before(ada, bob, eve))
        wire(eve)
        usual = sorted(delivery(eve) for _ in range(3))[1]
        yield Campaign((ada, bob), eve, usual)


def wire(learner: Hostile) -> None:
    """Have the kustomization name the Secret."""
    learner.refer_to(f"{NAME}.yaml")


def delivery(learner: Hostile) -> float:
    """Push a new value, encrypted, and return the seconds until the live Secret has it."""
    value = str(time.time_ns())
    file = f"{SECRETS}/{NAME}.yaml"
    plain = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME},
             "stringData": {"value": value}}  # fmt: skip
    encrypted = learner.lab.run(
        "sops", "encrypt", "--filename-override", file, "--input-type", "json",
        "--output-type", "yaml", "/dev/stdin", cwd=learner.work, stdin=json.dumps(plain),
    ).stdout  # fmt: skip
    (learner.work / file).write_text(encrypted)
    expected = base64.b64encode(value.encode()).decode()
    started = time.monotonic()
    learner.push()

    def arrived() -> bool:
        live = learner.lab.kubectl(
            "-n", learner.namespace, "get", "secret", NAME, "-o", "jsonpath={.data.value}",
            check=False,
        )  # fmt: skip
        return live == expected

    wait_until(arrived, f"{learner.seat}'s push was not applied", PATIENCE)
    return time.monotonic() - started


@pytest.mark.parametrize("name", mostly_soak(ATTACKS, "many-uploads", "large-manifest"))
def test_what_another_learner_pushes_is_delivered_meanwhile(campaign: Campaign, name: str) -> None:
    lab, eve = campaign.eve.lab, campaign.eve
    heads = {learner.seat: learner.classroom.head(learner.seat) for learner in campaign.attackers}
    before = (restarts(lab), _git_server_starts(lab))
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

    assert max(took) <= campaign.allowed, f"{took}, without an attack {campaign.usual:.1f} s"
    assert (restarts(lab), _git_server_starts(lab)) == before, "something was killed"


def _git_server_starts(lab: Lab) -> str:
    text = "{{.State.StartedAt}} {{.State.OOMKilled}}"
    return run(["docker", "inspect", "--format", text, lab.git_server]).stdout
