"""How the machine of a seat is reached, according to the seat's settings."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.settings import Settings
from sopslab.errors import InputError
from sopslab.room.client import client
from sopslab.room.connection import Connection


def connection_to(settings: Settings) -> Connection:
    """Return a connection to the machine of a seat, which is opened by its first use.

    Raises LabError if the settings name no machine, and what `client` raises.
    """
    machine = settings.machine
    if machine is None:
        raise InputError(["machine: is missing: inventories/seats.py says where each seat is"])
    key = Path(machine.key) if machine.key else None
    return Connection(client(Path(settings.room.ssh_dir), key), machine.reached)
