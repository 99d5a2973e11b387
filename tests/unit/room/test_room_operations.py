"""Work at a seat ends with a report, even if this machine is what fails."""

from __future__ import annotations

import os
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NoReturn

import pytest

from sopslab.config.settings import Settings
from sopslab.errors import Exit
from sopslab.files.events import DESCRIPTOR
from sopslab.model.events import SeatEnded, from_line
from sopslab.room import operations
from sopslab.room.connector import SeatConnector

STATE: Any = None


def test_what_this_machine_lacks_is_said_of_each_seat(
    lab: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(28, "No space left on device", "/root/config")

    host: Any = SimpleNamespace(
        connector=object.__new__(SeatConnector), print_prefix="", data=SimpleNamespace()
    )
    reader, writer = os.pipe()
    monkeypatch.setenv(DESCRIPTOR, str(writer))
    try:
        settings = lab(learner={"id": "ada", "name": "Ada", "email": "ada@example.org"})
        assert not operations._at_seat(STATE, host, settings, ("verify",), fail)
        event = from_line(os.read(reader, 1 << 16).decode())
    finally:
        os.close(reader)
        os.close(writer)
    assert isinstance(event, SeatEnded)
    assert (event.seat, event.code) == ("ada", Exit.HOST)
    (said,) = event.problems
    assert "No space left on device (/root/config)" in said
