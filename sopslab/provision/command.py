"""The one place where commands for a host are put together.

Logic belongs in a function of `sopslab.lab`, which runs on the host as a program; a script is for a
line or two. The text of a script is a literal in our code. Data reaches a script as positional
arguments or on standard input, so the shell never reads data as code. Secrets are passed on
standard input only, because arguments are visible in `ps`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator, Mapping
from typing import Any, Concatenate, ParamSpec

from pyinfra.api import QuoteString, StringCommand

from sopslab.checks.causes import OURS
from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.layout import PROJECT
from sopslab.model.wire import encode, name_of

Order = ParamSpec("Order")

# What an operation returns: a generator of the commands that make what is missing.
Commands = Generator[StringCommand, None, None]

# People see only marked lines of standard error. printf has each argument on a line of its own.
_REFUSE = f'printf "{OURS}: %s\\n" "$@" >&2; exit 1'


def script(
    text: str,
    *arguments: str,
    stdin: str | None = None,
    sudo: bool = False,
) -> StringCommand:
    """Return the command that runs the POSIX shell script `text` with `$1`, `$2`, … set.

    What the script writes to standard error goes only to the log.

    + text: a literal; it runs under `sh -eu`
    + arguments: the values of `$1`, `$2`, …
    + stdin: what the script reads; pyinfra adds a newline at the end
    + sudo: run it as root
    """
    bits = ("sh", "-euc", QuoteString(text), "sops-lab", *map(QuoteString, arguments))
    return _command(*bits, stdin=stdin, sudo=sudo)


def script_file(file: str, *arguments: str, sudo: bool = False) -> StringCommand:
    """Return the command that runs one of the longer scripts, which are files in `artifacts/host`.

    + file: the name of the script; it runs under `sh -eu`
    + arguments: the values of `$1`, `$2`, …
    + sudo: run it as root
    """
    path = str(PROJECT / "artifacts" / "host" / file)
    return _command("sh", "-eu", QuoteString(path), *map(QuoteString, arguments), sudo=sudo)


def _command(*bits: object, stdin: str | None = None, sudo: bool = False) -> StringCommand:
    options: dict[str, object] = {}
    if stdin is not None:
        options["_stdin"] = stdin
    if sudo:
        options["_sudo"] = True
    return StringCommand(*bits, **options)  # type: ignore[arg-type]


def acting(
    settings: Settings,
    function: Callable[Concatenate[Lab, Order], Any],
    /,
    *_: Order.args,
    **order: Order.kwargs,
) -> StringCommand:
    """Return the command that has a function of `sopslab.lab` change the host. The arguments of the
    function travel on standard input."""
    told = _json({"lab": settings.for_machine, **order})
    return program(name_of(function), stdin=told)


def changing_machine(
    sudo: bool, function: Callable[Order, Any], /, *_: Order.args, **order: Order.kwargs
) -> StringCommand:
    """Return the command that has a function of `sopslab.lab` change the host, like `acting`, for a
    function that takes no lab.

    + sudo: run it as root
    """
    return program(name_of(function), stdin=_json(order), sudo=sudo)


def program(what: str, *given: str, stdin: str | None = None, sudo: bool = False) -> StringCommand:
    """Return the command that starts the program on the lab's machine."""
    # With -B, root leaves no bytecode among the files of the user who runs the lab.
    flags = ("-B", "-P") if sudo else ("-P",)
    words = (QuoteString(sys.executable), *flags, "-m", "sopslab.lab", what)
    return _command(*words, *map(QuoteString, given), stdin=stdin, sudo=sudo)


def _json(order: Mapping[str, Any]) -> str:
    return json.dumps(encode(order), ensure_ascii=False)


def refusal(sentence: str) -> StringCommand:
    """Return the command that ends a step with `sentence` on standard error.

    An operation yields this command if the run cannot go on in the present state of the host. An
    exception in an operation would instead end the run on every host, with a traceback.
    """
    return script(_REFUSE, *sentence.splitlines())
