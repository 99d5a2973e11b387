"""Facts about the faults that were injected to practise on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.environment import Environment
from sopslab.config.settings import Settings
from sopslab.course.fault_record import Injection, parse_record
from sopslab.lab.observe.exercise import on_main
from sopslab.lab.observe.faults import records
from sopslab.model.faults import Exercise
from sopslab.model.wire import decode
from sopslab.provision.command import looking
from sopslab.provision.facts.parsing import LabFact, parsing


class Injections(FactBase[dict[str, Mapping[str, Injection] | None]]):
    """
    Returns for each environment that was broken the faults in it, by the learner's id; None where
    the record of them is damaged.

    .. code:: python

        {"ada": {"wrong-key": Injection(done=True)}}
    """

    default = dict

    @override
    def command(self, settings: Settings, environments: list[Environment]) -> StringCommand:
        return looking(settings, records, environments=environments)

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, Mapping[str, Injection] | None]:
        texts: dict[str, str] = decode(dict[str, str], json.loads("\n".join(output)))
        return {learner: _parsed(text) for learner, text in texts.items()}


def _parsed(text: str) -> Mapping[str, Injection] | None:
    try:
        return parse_record(text)
    except ValueError:
        return None


class ExerciseOnMain(LabFact[Exercise]):
    """
    Returns how far the exercise is on main of a learner's repository, as an `Exercise`.
    """

    look = on_main

    @staticmethod
    @override
    def default() -> Exercise:
        return Exercise(problem="its repository could not be looked at")

    @override
    def command(self, settings: Settings, environment: Environment, secret: str) -> StringCommand:
        return looking(settings, on_main, environment=environment, secret=secret)
