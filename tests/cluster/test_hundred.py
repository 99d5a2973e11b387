"""A class of a hundred, in which ten seats are broken in every way that there is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sopslab.errors import Exit
from tests.cluster.classroom import Classroom
from tests.cluster.isolation.campaign import ATTACKS, allowed, delivery, wire
from tests.cluster.isolation.hostile import Hostile, restarts
from tests.cluster.lab import Lab, lab_name, run

pytestmark = [pytest.mark.soak, pytest.mark.exclusive]

IDS = tuple(f"seat-{number:03d}" for number in range(100))
# The seats that are broken by their keys, before anything else of them is made, and by a push.
BY_KEY, BY_PUSH = IDS[3:44:10], IDS[53:94:10]
# Those who attack at the same time, and the one who works beside them.
ATTACKERS, WORKER = IDS[:3] + IDS[70:73] + IDS[80:83] + IDS[99:], IDS[98]
DAMAGE = (b"", b"AGE-SECRET-KEY-1DAMAGED\n", b"\0" * 189, b"# a comment\n", b"plain text\n")
MANIFESTS = (
    "resources: [nowhere.yaml]\n",
    "resources: [lab-canary.yaml]\nconfigMapGenerator: [{name: a, files: [nowhere]}]\n",
    "resources: [../../../..]\n",
    "resources: [lab-canary.yaml]\npatches: [{path: nowhere.yaml}]\n",
    "resources: [lab-canary.yaml]\ncomponents: [nowhere]\n",
)


@pytest.fixture(scope="module")
def hundred(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classroom]:
    """A lab that is up, with five damaged identities of seats that are not enrolled yet."""
    lab = Lab(lab_name("hundred"), tmp_path_factory.mktemp("hundred"), {})
    lab.remove()
    try:
        lab.up()
        for seat, damage in zip(BY_KEY, DAMAGE, strict=True):
            key = Path(lab.settings.keys_dir) / f"{seat}.agekey"
            key.write_bytes(damage)
            key.chmod(0o600)
        yield Classroom(lab)
    finally:
        lab.remove()


def named(problems: list[str]) -> tuple[str, set[str]]:
    """Return the first line of a report, and the seats that it names."""
    first, *others = "\n".join(problems).splitlines()
    return first, {line.split(":")[0].strip() for line in others if line.startswith("  ")}


def test_ninety_are_finished_and_the_ten_are_named(hundred: Classroom, tmp_path: Path) -> None:
    answer = hundred.up(ids=IDS, check=False)
    assert answer["code"] == Exit.PARTIAL
    first, who = named(answer["problems"])
    assert (first, who) == ("5 of 100 seats are not ready:", set(BY_KEY))

    for seat, manifest in zip(BY_PUSH, MANIFESTS, strict=True):
        clone = hundred.clone(seat, tmp_path)
        (clone / "flux/secrets/develop/kustomization.yaml").write_text(manifest)
        hundred.push(clone)
    answer = hundred.up(ids=IDS, check=False)
    assert answer["code"] == Exit.PARTIAL
    first, who = named(answer["problems"])
    assert (first, who) == ("10 of 100 seats are not ready:", {*BY_KEY, *BY_PUSH})

    listing = run(
        ["kubectl", "get", "secrets", "--all-namespaces", "--output", "json",
         "--field-selector", "metadata.name=lab-canary"],
        env=hundred.lab.environment,
    ).stdout  # fmt: skip
    arrived = {one["metadata"]["namespace"] for one in json.loads(listing)["items"]}
    assert {seat for seat in IDS if f"{seat}-develop" in arrived} >= set(IDS) - who


def test_once_they_are_mended_all_are_ready_and_nothing_is_left_to_do(hundred: Classroom) -> None:
    for seat in BY_KEY:
        (Path(hundred.lab.settings.keys_dir) / f"{seat}.agekey").unlink()
    hundred.lab.sopslab("reset", *BY_PUSH, "--json", check=False)
    assert hundred.up(ids=IDS)["code"] == Exit.OK
    assert hundred.lab.changes(hundred.up(ids=IDS)) == []


@pytest.mark.parametrize("name", ["doubling-overlays", "remote-resource", "large-manifest"])
def test_ten_at_once_hold_up_nobody(hundred: Classroom, tmp_path: Path, name: str) -> None:
    *attackers, worker = (Hostile(hundred, seat, tmp_path) for seat in (*ATTACKERS, WORKER))
    wire(worker)
    usual = sorted(delivery(worker) for _ in range(3))[1].seconds
    before = restarts(hundred.lab)
    for attacker in attackers:
        assert attacker.work.is_dir()
    with ThreadPoolExecutor(len(attackers)) as pool:
        attacks = [pool.submit(ATTACKS[name], attacker) for attacker in attackers]
        took = [delivery(worker)]
        while not all(attack.done() for attack in attacks):
            took.append(delivery(worker))
        reached = [attack.result() for attack in attacks]
    took.append(delivery(worker))
    assert min(reached) > 0, f"an attack reached no server: {reached}"
    assert max(took).seconds <= allowed(usual), f"{took}, without an attack {usual:.1f} s"
    assert restarts(hundred.lab) == before, "something was killed"
