"""How every deploy begins: the settings are checked, and the lab is locked before the first
operation."""

from __future__ import annotations

import platform
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pyinfra import host, state
from pyinfra.api import State
from pyinfra.api.exceptions import DeployError
from pyinfra.api.state import BaseStateCallback
from pyinfra.connectors.local import LocalConnector
from typing_extensions import override

from sopslab.config.enrolment import SEATS_AS_THEY_ARE
from sopslab.config.settings import Settings, load_settings
from sopslab.errors import Exit, LabError
from sopslab.files import events
from sopslab.incidents.rotation.given import read_values
from sopslab.model.machine import elsewhere
from sopslab.run import lock
from sopslab.run.reporter import Reporter

# The folders of the labs that this run locks. They are collected here because a run may have
# several hosts, but has only one set of callbacks.
_locked: set[str] = set()


@contextmanager
def _refusing() -> Iterator[None]:
    """Raise a LabError of the block as pyinfra's DeployError, and write it as an event."""
    try:
        yield
    except LabError as error:
        events.refuse(error)
        raise DeployError(str(error)) from None


class _Guard(BaseStateCallback):
    """Takes the locks before the first operation, so that a dry run touches nothing."""

    @staticmethod
    @override
    def operation_start(state: State, op_hash: str) -> None:
        with _refusing():
            for lab_dir in _locked:
                lock.hold(Path(lab_dir) / "lock")


def given_values(settings: Settings) -> dict[str, str]:
    """Return the values that this run was given on its standard input.

    Raises pyinfra's DeployError if one is missing.
    """
    with _refusing():
        return read_values(settings.given)


def _refuse_other_systems() -> None:
    """Raise LabError if the lab would be on this machine, and this machine does not run Linux."""
    refused = elsewhere(platform.system())
    if refused and isinstance(host.connector, LocalConnector):
        raise LabError(refused, Exit.HOST)


def begin() -> Settings:
    """Return the settings of the current host, validated. A class keeps the seats that it has.

    Raises pyinfra's DeployError, before anything is touched, with the sentences of a LabError.
    """
    return begin_lab().model_copy(update=SEATS_AS_THEY_ARE)


def begin_lab() -> Settings:
    """Return the settings of the current host, for the deploy that makes and archives seats.

    Raises what `begin` does.
    """
    settings = _valid(_refuse_other_systems)
    _locked.add(settings.lab_dir)
    return settings


def begin_room() -> Settings:
    """Return the settings of the current seat of a room, and lock it for this run.

    Raises what `begin` does.
    """
    settings = enter_room()
    _locked.add(settings.room.lab_dir)
    return settings


def enter_room() -> Settings:
    """Return the settings of the current seat of a room. Nothing is locked here, because the seat's
    own machine locks its lab.

    Raises what `begin` does.
    """
    return _valid(_allow_many_seats)


def _valid(check: Callable[[], None]) -> Settings:
    """Return the settings of the current host, checked and validated. From here on, the events of
    this run are written."""
    with _refusing():
        check()
        settings = load_settings(host.data.dict())
    if not any(isinstance(one, _Guard) for one in state.callback_handlers):
        state.add_callback_handler(_Guard())
        state.add_callback_handler(Reporter())
    return settings


def _allow_many_seats() -> None:
    """Raise this process's limit of open files as far as allowed: each seat needs several."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
