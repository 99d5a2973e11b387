"""Facts about the seats of a class, each of them one look for all."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.enrolled import parse_enrolled
from sopslab.config.settings import Seat, Settings
from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing


class Enrolled(FactBase[tuple[Seat, ...]]):
    """
    Returns who has a seat, as the last run recorded it.
    """

    default = tuple

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script('[ ! -s "$1/roster.json" ] || cat "$1/roster.json"', settings.class_dir)

    @override
    @parsing
    def process(self, output: list[str]) -> tuple[Seat, ...]:
        return parse_enrolled("\n".join(output) or "[]")
