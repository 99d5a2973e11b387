"""Packages installed from the distribution."""

from __future__ import annotations

import os
from collections.abc import Sequence

from sopslab.errors import LabError
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed, ask, run
from sopslab.model.packages import MANAGERS

_PATIENCE = 900
# Of it the package manager may wait minutes for another one to end.
_PATIENCE_TO_INSTALL = 3600


def install(manager: str, packages: list[tuple[str, ...]]) -> None:
    """Install packages without removing any from the machine. Raises LabError if one cannot be had.

    + manager: the command of the package manager
    + packages: the names that each package may have; the first that can be installed is taken
    """
    way = MANAGERS[manager]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if way.update is not None:
        try:
            run(way.update, environment, patience=_PATIENCE)
        except Failed as failure:
            # One source that is gone fails it, and the lists of all others are new: what they lack
            # is told by what comes next.
            log(failure.words)
    wanted = [_chosen(way.known, names, environment) for names in packages]
    # What takes too long is killed. In a download that is harmless; amid the installation it would
    # leave packages behind that are half configured, so that has much longer.
    run([*way.fetch, *wanted], environment, patience=_PATIENCE)
    run([*way.install, *wanted], environment, patience=_PATIENCE_TO_INSTALL)


def _chosen(known: Sequence[str], names: Sequence[str], environment: dict[str, str]) -> str:
    for name in names:
        if ask([*known, name], environment, patience=_PATIENCE).code == 0:
            return name
    raise LabError(
        f"{' or '.join(names)} cannot be installed by {known[0]} without taking something else off"
        " this machine, or is not known to it: install it yourself, or correct the package sources"
    )
