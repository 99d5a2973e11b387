"""Verbs that a room has, too: where its inventory is chosen, they run at the seats.

Every verb imports this: what the room takes is imported where it is one.
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
    help="Of a room, these seats only: an ID, a group, or a pattern such as 'a*'; may be repeated.",
    shell_complete=completing.learners,
)

# What is said here, and not at the seats; `--all` and `--yes` count once for all of them.
_NOT_SENT = ("limit", "as_json", "everybody", "yes")


def in_room() -> bool:
    """Return whether the inventory of a room is chosen."""
    return known_inventory(os.environ.get(INVENTORY) or "") == SEATS


class RoomVerb(click.Command):
    """A verb of a lab that runs at every seat of a room that is meant, where a room is chosen."""

    naming: tuple[str, ...] = ("ids", "learner")
    """The arguments that name learners, in whatever number."""
    of_this_machine: tuple[str, ...] = ("junit", "output", "watch", "as_csv", "given")
    """What a room does not have: a file or a terminal of this machine, and answers at a prompt."""

    def __init__(self, *given: Any, **options: Any) -> None:
        """Take what a command of click takes.

        + named: whether it asks for the learners who are meant, where there is more than one
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
        """Return whether it is asked for something that no lab has to be looked at for."""
        return False

    def learners(self, params: Mapping[str, Any]) -> Sequence[str]:
        """Return the learners who are named."""
        named = [params[name] for name in self.naming if params.get(name)]
        return [
            learner for one in named for learner in ([one] if isinstance(one, str) else list(one))
        ]

    def words(self, ctx: click.Context) -> list[str]:
        """Return what the verb is told at each seat, where one learner works alone."""
        return [
            word
            for parameter in self._given(ctx)
            if parameter.name not in (*_NOT_SENT, *self.naming)
            for word in _words(parameter, ctx.params[str(parameter.name)])
        ]

    def at_seats(
        self, params: Mapping[str, Any], words: Sequence[str], wanted: Sequence[str]
    ) -> None:
        """Run the verb at the seats that are meant, and end as they do."""
        from sopslab.cli import room

        as_json = bool(params.get("as_json"))
        seats = room.seats_or_exit(wanted, as_json=as_json)
        # It would ask at the seats, where nobody is to answer.
        if "yes" in params:
            words = [*words, "--yes"]
            if not params["yes"]:
                room.ask(seats, words)
        room.tell_or_exit(seats, room.at_seats(room.RUN, seats, words, as_json=as_json), as_json)

    def _given(self, ctx: click.Context) -> Iterator[click.Parameter]:
        """Yield what was said of what this verb may be told."""
        for parameter in self.params:
            source = ctx.get_parameter_source(str(parameter.name))
            if source is ParameterSource.COMMANDLINE and parameter.name in ctx.params:
                yield parameter


def _path(ctx: click.Context) -> list[str]:
    """Return the verb, with the group that it is in, if there is one."""
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
