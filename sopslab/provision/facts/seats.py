"""Facts about the seats of a class, each of them one look for all."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.enrolled import parse_enrolled
from sopslab.config.settings import Seat, Settings
from sopslab.lab.observe import begun, failures, host_secrets
from sopslab.provision.command import looking, script
from sopslab.provision.facts.parsing import LabFact, parsing


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


class SeatFailures(LabFact[dict[str, str]]):
    """
    Returns which seats failed in the present run, and why, in a sentence.
    """

    look = failures.failures
    default = dict

    @override
    def command(self, settings: Settings) -> StringCommand:
        return looking(settings, failures.failures)


class BegunSeats(LabFact[list[str]]):
    """
    Returns the seats whose repository has its first commit, and whose canary is known by its hash.
    """

    look = begun.begun_seats
    default = list

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, begun.begun_seats, seats=seats)


class SeatsWithKeys(LabFact[list[str]]):
    """
    Returns the seats for which the cluster has a decryption key, of those asked for.
    """

    look = host_secrets.seats_with_keys
    default = list

    @override
    def command(self, settings: Settings, seats: list[str]) -> StringCommand:
        return looking(settings, host_secrets.seats_with_keys, seats=seats)
