"""What a shell completes, beside verbs, options and files: what is known on this machine.

Where that cannot be read, nothing is completed, and nothing is said. What reading it takes is
imported only when a word is completed: the verbs run without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from sopslab.errors import LabError

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _of_lab(known: Callable[[Settings], Iterable[str]]) -> Completer:
    """Return what completes a word to one of the names that are known of the lab."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        from sopslab.config.inputs import local_settings

        try:
            names = list(known(local_settings()))
        except LabError:
            return []
        given = context.params.get(parameter.name or "") or ()
        return [name for name in names if name.startswith(incomplete) and name not in given]

    return complete


def _learners(settings: Settings) -> Iterable[str]:
    from sopslab.cli.room_verb import in_room
    from sopslab.config.enrolled import read_environments
    from sopslab.config.inputs import roster_rows

    if in_room():
        return [str(row["id"]) for row in roster_rows()]
    return read_environments(settings)


def _seats(settings: Settings) -> Iterable[str]:
    from sopslab.config.enrolled import read_enrolled

    return [seat.id for seat in read_enrolled(settings)]


def _spares(settings: Settings) -> Iterable[str]:
    from sopslab.config.enrolled import read_enrolled

    return [seat.id for seat in read_enrolled(settings) if seat.free]


def _incidents(settings: Settings) -> Iterable[str]:
    from sopslab.lab.incidents.platform import read_incidents

    return read_incidents(settings)


# The ids of those who have an environment; of those who have a seat of a class; of seats that
# nobody has; of incidents.
learners = _of_lab(_learners)
seats = _of_lab(_seats)
spares = _of_lab(_spares)
incidents = _of_lab(_incidents)
