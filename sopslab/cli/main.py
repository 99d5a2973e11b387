"""The command `sopslab`: verbs over pyinfra, each in a module of `sopslab.cli.verbs`."""

from __future__ import annotations

from importlib import import_module
from pkgutil import iter_modules

import click
from typing_extensions import override

from sopslab import __version__
from sopslab.cli import verbs

# Each in the module of its name; `break` is a word of Python's.
VERBS = {
    name.removesuffix("_"): name
    for _, name, _ in iter_modules(verbs.__path__)
    if not name.startswith("_")
}

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class _Verbs(click.Group):
    """Import a verb when it is asked for: all of them take twice as long as any."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(VERBS)

    @override
    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        name = VERBS.get(cmd_name)
        if name is None:
            return None
        verb: click.Command = getattr(import_module(f"{verbs.__name__}.{name}"), name)
        return verb


@click.group(cls=_Verbs, context_settings=CONTEXT)
@click.version_option(__version__, prog_name="sopslab")
def main() -> None:
    """The secrets lab of a GitOps course, on this machine.

    \b
    sopslab up               make the lab, or bring it back to what it should be
    eval "$(sopslab env)"    use its sops, age, kubectl, flux and kind in this shell
    sopslab status           what is up, and where
    sopslab verify           how far the learner is, and what to do next
    sopslab doctor           what is wrong, and what helps
    sopslab policy           what may be committed, and what not
    sopslab validate         whether Flux can build what the repository holds
    sopslab quiz             the questions of the chapter
    sopslab fill             have every tool and image, before a class
    sopslab reissue          replace the access of a learner; what they had is refused then
    sopslab cards            a page for each learner of a class, to print and hand out
    sopslab reset            put an environment back to day one, or to a checkpoint
    sopslab incident         what leaked, on record until nothing of it is left to do
    sopslab registry         which credentials are to be replaced, and when
    sopslab drill            the incident of the chapter, staged to be worked through
    sopslab rotate           make a leaked key or value worthless, and prove it
    sopslab report           what somebody who helps needs, in one file without a secret
    sopslab break            break an environment to practise on; also as an exam
    sopslab fix              undo what was broken
    sopslab down             take it down; keys, Git data and tools stay

    Exit codes: 0 done, 1 failed, 2 bad input, 3 another run is at work, 4 some learners of a class
    are not ready, and for a step that failed: 10 host, 11 artifacts, 12 network and cluster,
    13 Git, 14 keys, 15 platform and Flux, 16 learners, 17 canary, 18 access, 19 a rotation's files
    or proof, 20 values are left that only a human can replace, 21 faults;
    130 and 143 after Ctrl-C and SIGTERM.
    """
