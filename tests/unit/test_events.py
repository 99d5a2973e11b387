"""What a run says about itself: short, even for a class, and of each operation to which step it
belongs."""

from __future__ import annotations

import pytest
from pyinfra.api import Config, Inventory, State, operation
from pyinfra.api.connect import connect_all
from pyinfra.api.deploy import add_deploy
from pyinfra.api.operation import add_op
from pyinfra.api.state import StateStage

from sopslab.files.events import named, step_of
from sopslab.model.events import Ended, Operation, from_line, to_line
from sopslab.model.steps import Step
from sopslab.provision.command import Commands
from sopslab.provision.deploys import step
from sopslab.run.reporter import _operation


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (0, ""),
        (1, "a0"),
        (6, "a0, a1, a2, a3, a4, a5"),
        (7, "a0, a1, a2, a3, a4, a5 and 1 more"),
        (100, "a0, a1, a2, a3, a4, a5 and 94 more"),
    ],
)
def test_of_many_names_it_is_said_how_many_more_there_are(count: int, said: str) -> None:
    assert named([f"a{number}" for number in range(count)]) == said


@operation()
def nothing() -> Commands:
    """
    Do nothing.
    """
    yield from ()


@step(Step.KEYS)
def keys() -> None:
    """Do nothing twice."""
    nothing(name="Make the keys")
    nothing(name="Host | Make more")


def test_an_operation_belongs_to_the_step_that_adds_it_whatever_it_is_called() -> None:
    state = State(Inventory((["@local"], {})), Config(), check_for_changes=False)
    state.set_stage(StateStage.Connect)
    connect_all(state)
    state.set_stage(StateStage.Prepare)
    add_deploy(state, keys)
    add_op(state, nothing, name="Keys | Make none")
    assert {_operation(state, key) for key in state.op_meta} == {
        Operation(Step.KEYS, "Make the keys"),
        Operation(Step.KEYS, "Host | Make more"),
        Operation(Step.OTHER, "Keys | Make none"),
    }
    assert step_of(nothing) is Step.OTHER


@pytest.mark.parametrize("step", Step)
def test_the_step_of_an_operation_is_in_its_event(step: Step) -> None:
    ended = Ended(Operation(step, "Do it"), changed=True, failed=False, seconds=1.5)
    assert from_line(to_line(ended)) == ended
