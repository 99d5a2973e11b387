"""A lab on a Debian that has only what the README asks for, and a store that is brought along."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab.config.inputs import local_settings
from tests.cluster.debian import Machine, machine

pytestmark = [pytest.mark.soak, pytest.mark.machines]

CHECKOUT, ROOT = "/srv/checkout", "/srv/labs"
SOPSLAB = f"{CHECKOUT}/.venv/bin/sopslab"


@pytest.fixture(params=["bookworm", "trixie"])
def bare(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """A machine without Docker or iptables, but with this machine's store and the checkout."""
    root = Path(local_settings().root)
    with machine(request.param, "git", "make", "python3-venv") as bare:
        parts = [part for part in ("store", "bin", "source") if (root / part).exists()]
        bare.copy_in(root, ROOT, *parts)
        bare.copy_checkout(CHECKOUT)
        yield bare


def packages(machine: Machine) -> set[str]:
    return set(machine.run("dpkg-query", "--show", "--showformat", "${Package}\\n").stdout.split())


def test_one_command_makes_a_lab_and_takes_nothing_off_the_machine(bare: Machine) -> None:
    before = packages(bare)
    bare.run("make", "lab", cwd=CHECKOUT, SOPSLAB_ROOT=ROOT)
    assert before <= packages(bare)
    again = json.loads(bare.run(SOPSLAB, "up", "--json", SOPSLAB_ROOT=ROOT).stdout)
    assert [step["changes"] for step in again["steps"] if step["changes"]] == []
    bare.run(SOPSLAB, "down", SOPSLAB_ROOT=ROOT)
    assert bare.run("docker", "ps", "--all", "--quiet").stdout == ""
