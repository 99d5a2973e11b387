"""How every deploy begins: settings checked, the lab locked, the journal open."""

from __future__ import annotations

from pathlib import Path

from pyinfra import host, state
from pyinfra.api.exceptions import DeployError

from sopslab import journal, lock
from sopslab.errors import LabError
from sopslab.settings import Settings, load_settings

_followed: set[int] = set()


def begin() -> Settings:
    """Return the settings of the current host, once they are valid and the lab is ours alone.

    Raises pyinfra's DeployError, before anything is touched, for what LabError says in words.
    """
    if id(state.callback_handlers) not in _followed:
        _followed.add(id(state.callback_handlers))
        state.add_callback_handler(journal.Journal())  # type: ignore[no-untyped-call]
    try:
        settings = load_settings(host.data.dict())  # type: ignore[no-untyped-call]
        lock.hold(Path(settings.lab_dir) / "lock")
    except LabError as error:
        journal.refuse(error)
        raise DeployError(str(error)) from None
    return settings
