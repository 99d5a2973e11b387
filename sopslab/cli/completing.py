"""What a shell completes besides verbs, options and files: names that are known on this machine.

If the names cannot be read, nothing is completed, without a message. Modules that read them are
imported only when a word is completed, because the verbs do not need these modules. The names are
read without the settings of the lab, because validating settings takes longer than everything else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click

from sopslab.errors import LabError

Completer = Callable[[click.Context, click.Parameter, str], list[str]]


def _of_lab(known: Callable[[], Iterable[str]]) -> Completer:
    """Return a function that completes a word to one of the names that the lab has."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
        try:
            names = list(known())
        except LabError:
            return []
        given = context.params.get(parameter.name or "") or ()
        return [name for name in names if name.startswith(incomplete) and name not in given]

    return complete


def _learners() -> Iterable[str]:
    from sopslab.cli.room_verb import in_room
    from sopslab.config.inputs import meant_lab, roster_rows

    if in_room():
        return [str(row["id"]) for row in roster_rows()]
    return [*_enrolled(), meant_lab().learner]


def _spares() -> Iterable[str]:
    return [seat for seat, free in _enrolled().items() if free]


def _enrolled() -> Mapping[str, bool]:
    from sopslab.config.enrolled import read_ids
    from sopslab.config.inputs import meant_lab
    from sopslab.config.places import enrolled_file

    meant = meant_lab()
    return read_ids(Path(enrolled_file(meant.root, meant.lab)))


def _incidents() -> Iterable[str]:
    from sopslab.config.inputs import meant_lab
    from sopslab.config.places import platform_clone
    from sopslab.lab.observe.incidents import incident_ids

    meant = meant_lab()
    return incident_ids(platform_clone(meant.root, meant.lab))


# They complete the ids of learners with an environment, of the seats of a class, of spare seats,
# and of incidents.
learners = _of_lab(_learners)
seats = _of_lab(_enrolled)
spares = _of_lab(_spares)
incidents = _of_lab(_incidents)
