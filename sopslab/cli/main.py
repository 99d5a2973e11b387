"""The command `sopslab`: verbs over pyinfra, each in a module of `sopslab.cli.verbs`."""

from __future__ import annotations

import platform
from importlib import import_module
from keyword import iskeyword

import click
from click.shell_completion import CompletionItem
from typing_extensions import override

from sopslab.cli import verbs
from sopslab.errors import MEANINGS, Exit
from sopslab.model.machine import elsewhere

GROUPS = {
    "Make": {
        "up": "make the lab, or bring it back to what it should be",
        "fetch": "have every tool and image, before a class",
        "env": 'what a shell needs to use it: eval "$(sopslab env)"',
        "status": "what is up, and where; how far each learner of a class is",
        "down": "take it down; keys, Git data and tools stay",
        "reap": "take down the labs of CI jobs whose time is over",
    },
    "Learn": {
        "verify": "how far the learner is, and what to do next",
        "validate": "whether Flux can build what the repository holds",
        "policy": "what may be committed, and what not",
        "quiz": "the questions of the chapter",
        "break": "break an environment to practise on; also as an exam",
        "fix": "undo what was broken",
    },
    "Class": {
        "cards": "a page for each learner, to print and hand out",
        "reset": "put an environment back to day one, or to a checkpoint",
        "reissue": "replace the access of a learner; what they had is refused then",
    },
    "Leak": {
        "incident": "what leaked, on record until nothing of it is left to do",
        "credentials": "which credentials are to be replaced, and when",
        "rotate": "make a leaked key or value worthless, and prove it",
        "drill": "the incident of the chapter, staged to be worked through",
    },
    "Help": {
        "doctor": "what is wrong, and what helps",
        "support": "what somebody who helps needs, in one file without a secret",
        "completion": "what bash, zsh or fish needs to complete words",
        "schema": "what an editor needs to check a roster or a lab file",
    },
}
"""The verbs, by what they are for: what each does, in a line."""

# Each in the module of its name; but a word of Python's is no name of a function.
VERBS = {
    verb: f"{verb}_" if iskeyword(verb) else verb for group in GROUPS.values() for verb in group
}

_WIDTH = max(map(len, VERBS))
CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _UnfitHost(click.ClickException):
    """A sentence on why this machine is not fit."""

    exit_code = Exit.HOST


class _Verbs(click.Group):
    """Import a verb when it is asked for: all of them take twice as long as any."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = VERBS.get(cmd_name)
        if name is None:
            return None
        if platform.system() == "Windows":
            # The modules of the verbs import what only POSIX has.
            raise _UnfitHost(elsewhere("Windows"))
        verb: click.Command = getattr(import_module(f"{verbs.__name__}.{name}"), name)
        return verb

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


@click.group(cls=_Verbs, context_settings=CONTEXT)
@click.version_option(package_name="sops-lab", prog_name="sopslab")
def main() -> None:
    """The secrets lab of a GitOps course, on this machine."""
