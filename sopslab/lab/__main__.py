"""The program on the lab's machine: ``python -m sopslab.lab WHAT [ORDER]``.

WHAT names a function below `sopslab.lab`, such as `act.checkpoints.put_back`. ORDER is JSON: the
function's arguments by name, of which the first is the lab, unless all it is about is the machine
itself. Where it is not given it is read from standard input, and only there may it hold secrets.
What the function returns is printed as JSON.

What a person is to see of a failure goes to standard error as a sentence of ours; the words of
other programs go there, too, for the log.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import Any, get_type_hints

from sopslab.checks.causes import OURS, reason
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.tools.programs import Failed
from sopslab.model.results import Undecided
from sopslab.model.wire import decode, encode

# What is the machine's to say; any other error of the kind is a mistake of ours.
_THE_MACHINES = {errno.EDQUOT, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOSPC, errno.EROFS}


def find(what: str) -> Callable[..., Any]:
    """Return the function of that name. Raises LookupError without one."""
    module, _, name = what.rpartition(".")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(f"sopslab.lab.{module}"), name)
    except (ImportError, AttributeError) as error:
        raise LookupError(f"there is nothing called {what}") from error
    return found


def carry_out(function: Callable[..., Any], order: dict[str, Any]) -> Any:
    """Return, in terms of JSON, what a function returns for an order. Raises ValueError if the
    order does not fit the function."""
    hints = get_type_hints(function)
    # What looks at the machine takes no lab; what takes one takes it first, as `Places` or more.
    lab = [decode(Lab, order.pop("lab"))] if "lab" in order else []
    arguments = {name: decode(hints[name], value) for name, value in order.items()}
    return encode(function(*lab, **arguments))


def main() -> int:
    """Carry out one order and return the exit code."""
    # The Git server reads what git writes here; what is private says so itself.
    os.umask(0o022)
    what, *given = sys.argv[1:]
    try:
        order = json.loads(given[0] if given else sys.stdin.read())
        answer = carry_out(find(what), order)
    except (LabError, Undecided) as error:
        if isinstance(error.__cause__, Failed):
            sys.stderr.buffer.write(error.__cause__.words)
        for line in str(error).splitlines():
            sys.stderr.write(f"{OURS}: {line}\n")
        return 1
    except OSError as error:
        if error.errno not in _THE_MACHINES:
            raise
        place = f"{error.filename}: " if error.filename else ""
        sys.stderr.write(f"{OURS}: {place}{reason([str(error.strerror)])}\n")
        return 1
    except Failed as failure:
        sys.stderr.buffer.write(failure.words)
        return 1
    sys.stdout.write(f"{json.dumps(answer)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
