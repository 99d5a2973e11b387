"""The machines of a room from pyinfra's own inventories: Vagrant and Terraform."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sopslab.config.inputs import MACHINES
from sopslab.config.machines import check_host
from sopslab.errors import InputError
from sopslab.lab.tools.programs import Failed, run

_SOURCE = re.compile(r"@(vagrant|terraform)(/[A-Za-z0-9._-]+)?")
# Vagrant takes long for each machine.
_ASKING_S = 300
# What is known of a machine: its names in pyinfra's inventories, and here.
_KEYS = {"ssh_hostname": "host", "ssh_user": "user", "ssh_port": "port", "ssh_key": "key"}


def known_machines() -> dict[str, dict[str, Any]]:
    """Return the machines of SOPSLAB_MACHINES by name, empty if it is not set.

    The variable is `@vagrant`, `@terraform/OUTPUT`, or the path of a file with the content that
    `as_file` returns. Raises InputError if the machines cannot be read.
    """
    source = os.environ.get(MACHINES, "")
    if not source:
        return {}
    if source.startswith("@"):
        return _asked(source)
    try:
        found: dict[str, dict[str, Any]] = dict(json.loads(Path(source).read_bytes()))
    except (OSError, TypeError, ValueError):
        raise InputError(
            [f"{MACHINES}: {source} cannot be read: name @vagrant or @terraform/OUTPUT"]
        ) from None
    return found


def as_file(machines: Mapping[str, Mapping[str, Any]]) -> bytes:
    """Return the content of a file with machines that `known_machines` can read."""
    return json.dumps(machines, indent=2).encode() + b"\n"


def _asked(source: str) -> dict[str, dict[str, Any]]:
    """Return the machines of one of pyinfra's inventories."""
    if not _SOURCE.fullmatch(source):
        raise InputError([f"{MACHINES}: {source} is not @vagrant or @terraform/OUTPUT"])
    # These inventories need a process that pyinfra's own command has prepared.
    command = [sys.executable, "-P", "-m", "pyinfra", source, "debug-inventory", "--json"]
    try:
        listed = json.loads(run(command, os.environ, patience=_ASKING_S))
    except (Failed, ValueError):
        raise InputError(
            [f"{source} has no machines: `pyinfra {source} debug-inventory` says what is there"]
        ) from None
    return dict(_machine(source, one["name"], one["data"]) for one in listed)


def _machine(source: str, called: str, data: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Return the name of a machine, and what is known of it. Raises InputError if its address is
    missing or unfit."""
    machine = {ours: data[theirs] for theirs, ours in _KEYS.items() if data.get(theirs)}
    name = called.partition("/")[2]
    try:
        check_host(machine["host"])
    except (KeyError, TypeError, ValueError):
        raise InputError([f"{source}: {name} has no address that ssh could connect to"]) from None
    return name, machine
