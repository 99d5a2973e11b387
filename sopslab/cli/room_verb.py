"""Verbs that also work in a room: if its inventory is chosen, they run at the seats.

Every verb imports this module, so the modules of a room are imported only if there is one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click
from click.core import ParameterSource
from typing_extensions import override

from sopslab.cli import completing
from sopslab.config.inputs import INVENTORY, SEATS, known_inventory

limit_option = click.option(
    "--limit",
    multiple=True,
    metavar="WHO",
    help="Only these seats of a room: an ID, a group, or a pattern such as 'a*'; may be repeated.",
    shell_complete=completing.learners,
)

# Options that are not passed on to seats, because they are for this machine. `--all` and `--yes`
# are given once, for all seats.
_NOT_SENT = ("limit", "as_json", "everybody", "yes")


def in_room() -> bool:
    """Return whether the inventory of a room is chosen."""
    return known_inventory(os.environ.get(INVENTORY) or "") == SEATS


class RoomVerb(click.Command):
    """A verb of a lab that runs at all chosen seats if the inventory is that of a room."""

    naming: tuple[str, ...] = ("ids", "learner")
    """The arguments that name one or more learners."""
    of_this_machine: tuple[str, ...] = ("junit", "output", "watch", "as_csv", "given")
    """Options that a room refuses: they need a file or a terminal of this machine, or a prompt."""

    def __init__(self, *given: Any, **options: Any) -> None:
        """Take what a command of click takes.

        + named: whether learners have to be named if there is more than one
        """
        self._named: bool = options.pop("named", False)
        super().__init__(*given, **options)
        limit_option(self)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        """Run the verb here, or at the seats."""
        limit: tuple[str, ...] = ctx.params.pop("limit")
        if not in_room() or self.about_no_lab(ctx.params):
            if limit:
                raise click.UsageError(f"--limit goes with {SEATS}, which {INVENTORY} names")
            return super().invoke(ctx)
        wanted = [*limit, *self.learners(ctx.params)]
        if self._named and not wanted and not ctx.params.get("everybody"):
            raise click.UsageError("name the learners, or everybody with --limit '*'")
        for parameter in self._given(ctx):
            if parameter.name in self.of_this_machine:
                raise click.UsageError(f"{parameter.opts[0]} goes with a lab on this machine")
        words = [*_path(ctx), *self.words(ctx)]
        self.at_seats(ctx.params, words, wanted)
        return None

    def about_no_lab(self, params: Mapping[str, Any]) -> bool:
        """Return whether the options ask for something that needs no lab."""
        return False

    def learners(self, params: Mapping[str, Any]) -> Sequence[str]:
        """Return the learners that were named."""
        named = [params[name] for name in self.naming if params.get(name)]
        return [
            learner for one in named for learner in ([one] if isinstance(one, str) else list(one))
        ]

    def words(self, ctx: click.Context) -> list[str]:
        """Return the arguments of the verb at each seat. They name no learner, because a seat has
        only one."""
        return [
            word
            for parameter in self._given(ctx)
            if parameter.name not in (*_NOT_SENT, *self.naming)
            for word in _words(parameter, ctx.params[str(parameter.name)])
        ]

    def at_seats(
        self, params: Mapping[str, Any], words: Sequence[str], wanted: Sequence[str]
    ) -> None:
        """Run the verb at the chosen seats, and end with their exit code."""
        from sopslab.cli import room

        as_json = bool(params.get("as_json"))
        seats = room.seats_or_exit(wanted, as_json=as_json)
        # Without `--yes`, the verb would ask at the seats, where nobody answers.
        if "yes" in params:
            words = [*words, "--yes"]
            if not (params["yes"] or params.get("dry_run")):
                room.ask(seats, words)
        room.tell_or_exit(seats, room.at_seats(room.RUN, seats, words, as_json=as_json), as_json)

    def _given(self, ctx: click.Context) -> Iterator[click.Parameter]:
        """Yield the arguments and options that were given."""
        for parameter in self.params:
            source = ctx.get_parameter_source(str(parameter.name))
            if source is ParameterSource.COMMANDLINE and parameter.name in ctx.params:
                yield parameter


def _path(ctx: click.Context) -> list[str]:
    """Return the name of the verb, preceded by that of its group if it is in one."""
    names = []
    step: click.Context | None = ctx
    while step is not None and step.parent is not None:
        names.append(str(step.info_name))
        step = step.parent
    return names[::-1]


def _words(parameter: click.Parameter, value: Any) -> Iterator[str]:
    values = value if isinstance(value, tuple) else (value,)
    for one in values:
        if isinstance(parameter, click.Argument):
            yield str(one)
        elif isinstance(parameter, click.Option) and parameter.is_flag:
            yield parameter.opts[0]
        else:
            yield f"{parameter.opts[0]}={one}"
