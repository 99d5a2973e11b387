"""What was seen of a host is kept until something is about to change on that host."""

from __future__ import annotations

import json
from typing import Any

from pyinfra.context import ctx_host

from sopslab.lab.observe.engine import engine_state
from sopslab.lab.observe.machine import machine_state
from sopslab.model.engine import EngineState
from sopslab.model.machine import MachineState
from sopslab.provision.look import forget, look_at_machine, recall_of_machine


class Host:
    """A remote host that counts how often it is looked at."""

    connector = None

    def __init__(self) -> None:
        self.looks = 0

    def get_fact(self, fact: Any, **arguments: Any) -> str:
        self.looks += 1
        return json.dumps(self.looks)


class Silent:
    """A host that has failed, or is part of a test."""

    connector = None

    def get_fact(self, fact: Any, **arguments: Any) -> None:
        return None


def test_a_machine_that_gives_no_answer_has_nothing() -> None:
    with ctx_host.use(Silent()):
        assert look_at_machine(machine_state, root="/", commands=[]) == MachineState()
        assert look_at_machine(engine_state) == EngineState()


def one() -> int:
    """A look; the host of a test answers in its place."""
    return 0


def other() -> int:
    """Another look."""
    return 0


def test_something_is_looked_at_once_until_it_is_forgotten() -> None:
    with ctx_host.use(Host()):
        assert [recall_of_machine(one), recall_of_machine(one)] == [1, 1]
        forget(one)
        assert [recall_of_machine(one), look_at_machine(one), recall_of_machine(one)] == [2, 3, 3]


def test_each_look_and_each_host_is_kept_by_itself() -> None:
    here, there = Host(), Host()
    with ctx_host.use(here):
        assert [recall_of_machine(each) for each in (one, other, one)] == [1, 2, 1]
    with ctx_host.use(there):
        forget(one)
        assert recall_of_machine(one) == 1
    with ctx_host.use(here):
        assert recall_of_machine(one) == 1


def placed(where: str) -> int:
    """A look at a place."""
    return 0


def test_what_was_seen_at_one_place_is_not_taken_for_what_is_at_another() -> None:
    with ctx_host.use(Host()):
        places = ("here", "here", "there", "there")
        assert [recall_of_machine(placed, where=where) for where in places] == [1, 1, 2, 2]
        forget(placed)
        assert [recall_of_machine(placed, where=where) for where in places] == [3, 3, 4, 4]
