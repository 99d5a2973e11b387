"""``python -m sopslab.policy``: the policy where only Python and PyYAML are, in hooks above all."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from sopslab.policy import callers


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one caller and return 0 (clean), 1 (findings) or 2 (could not decide, wrong usage)."""
    parser = argparse.ArgumentParser(prog="sopslab.policy", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("pre-commit", "pre-receive", "check", "history"):
        command = commands.add_parser(name)
        command.add_argument("--json", action="store_true", help="print the answer as JSON")
        if name == "check":
            command.add_argument("paths", nargs="+", metavar="PATH")
        elif name == "history":
            command.add_argument("repository", nargs="?", default=".", metavar="REPO")
        elif name == "pre-commit":
            # The pre-commit framework appends file names; what is staged counts.
            command.add_argument("paths", nargs="*", metavar="PATH", help=argparse.SUPPRESS)
    given = parser.parse_args(arguments)
    if given.command == "check":
        answer = callers.check(given.paths)
    elif given.command == "history":
        answer = callers.history(given.repository)
    elif given.command == "pre-commit":
        answer = callers.pre_commit()
    else:
        answer = callers.pre_receive([line.rstrip("\n") for line in sys.stdin])
    return callers.show(answer, given.json)


if __name__ == "__main__":
    sys.exit(main())
