"""The command `sopslab`: verbs over pyinfra, each in a module of `sopslab.cli.verbs`."""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module
from keyword import iskeyword
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from sopslab.cli import verbs
from sopslab.errors import MEANINGS, Exit
from sopslab.model.machine import elsewhere
from sopslab.run.garbage import collect_seldom

GROUPS = {
    "Make": {
        "up": "make the lab, or bring it back to what it should be",
        "fetch": "fill the store with every tool and image",
        "images": "push what an existing cluster pulls to a registry",
        "bundle": "carry all that a lab needs in one file, without a network",
        "env": 'print the variables of the lab: eval "$(sopslab env)"',
        "status": "show what is up, and each learner's progress",
        "down": "take it down; keys, Git data and tools stay",
        "backup": "write all that exists only once into one encrypted file",
        "restore": "bring the lab of a backup back, here or on another machine",
        "reap": "take down labs after their lease, and end access that is over",
    },
    "Learn": {
        "verify": "check the exercise, and say what to do next",
        "validate": "build the repository as Flux would, and check the result",
        "policy": "look for secrets and key material before they are committed",
        "quiz": "ask the questions of the chapter",
        "hint": "give a hint for the next step, one at a time",
        "break": "break an environment to practise on; also as an exam",
        "fix": "undo what was broken",
    },
    "Class": {
        "roster": "make the roster of a class from an export, or check one",
        "assign": "give a spare seat to a learner who comes late",
        "cards": "write a card for each learner, to print and hand out",
        "board": "show the class in a browser: who is stuck, where and since when",
        "helped": "mark learners who asked for help as helped",
        "class": "report on what the class did, for people and grade books",
        "reset": "put an environment back to day one, or to a checkpoint",
        "reissue": "replace a learner's password, certificate and kubeconfig",
    },
    "Leak": {
        "incident": "record a leak, until everything about it is done",
        "credentials": "list the credentials that are due for rotation",
        "rotate": "make a leaked key or value worthless, and prove it",
        "drill": "stage the incident of the chapter, for practice",
    },
    "Help": {
        "doctor": "name what is wrong, and how to fix it",
        "support": "collect logs and state in one file, without secrets",
        "completion": "print the completion of bash, zsh or fish",
        "schema": "print the JSON Schema of a roster or a lab file",
    },
}
"""The verbs by purpose, each with a line of help."""

# Each verb is in the module of its name, with a `_` after a keyword of Python.
VERBS = {
    verb: f"{verb}_" if iskeyword(verb) else verb for group in GROUPS.values() for verb in group
}

# Verbs that make no sense at many labs at once. In a room, they run only on a seat's own machine.
_OF_ONE_LAB = frozenset(
    {*GROUPS["Class"], "backup", "credentials", "hint", "incident", "quiz", "restore"}
    - {"roster", "reset"}
)

# A verb that runs for hours, and has to get rid of what it no longer needs.
_LASTING = frozenset({"board"})

# pydantic would read the metadata of every package to look for plugins, but the lab uses none.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")

_WIDTH = max(map(len, VERBS))
_HELP = ["-h", "--help"]
CONTEXT = {"help_option_names": _HELP, "max_content_width": 100}


class _UnfitHost(click.ClickException):
    """This machine cannot run verbs; the message says why."""

    exit_code = Exit.HOST


class _Verbs(click.Group):
    """Imports a verb when it is asked for: importing all of them takes twice as long as one."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = VERBS.get(cmd_name)
        if name is None:
            return None
        if platform.system() == "Windows":
            # The modules of the verbs import modules that only POSIX has.
            raise _UnfitHost(elsewhere("Windows"))
        try:
            Path.cwd()
        except OSError:
            raise _UnfitHost("the folder that you are in is gone: `cd` to another one") from None
        if cmd_name not in _LASTING:
            collect_seldom()
        verb: click.Command = getattr(import_module(f"{verbs.__name__}.{name}"), name)
        return verb

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            sys.exit(Exit.INTERRUPTED)

    @override
    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        verbs = {verb: text for group in GROUPS.values() for verb, text in group.items()}
        return [
            CompletionItem(verb, help=text)
            for verb, text in verbs.items()
            if verb.startswith(incomplete)
        ] + click.Command.shell_complete(self, ctx, incomplete)

    @override
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, group in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(verb.ljust(_WIDTH), text) for verb, text in group.items()])

    @override
    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Exit codes"):
            formatter.write_dl([(f"{code:<{_WIDTH}}", text) for code, text in MEANINGS.items()])
        formatter.write_paragraph()
        formatter.write_text("Verbs that only look have codes of their own: see their --help.")


@click.group(cls=_Verbs, context_settings=CONTEXT)
@click.version_option(package_name="sops-lab", prog_name="sopslab")
@click.pass_context
def main(context: click.Context) -> None:
    """The secrets lab of a GitOps course, on this machine."""
    verb = context.invoked_subcommand
    if verb in _OF_ONE_LAB and not set(_HELP) & set(context.args):
        _refuse_in_room(verb)


def _refuse_in_room(verb: str) -> None:
    from sopslab.cli.room_verb import in_room

    if in_room():
        raise click.UsageError(
            f"`sopslab {verb}` is about a lab on this machine: in a room, run it on a seat's own"
        )
