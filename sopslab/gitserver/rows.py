"""Read a learner's own row, which the board has published, to show it to that learner.

The row contains text that learners have pushed, so each text is kept in one line and within bounds.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sopslab.config.naming import seat_namespace
from sopslab.gitserver.plainfiles import read_plain
from sopslab.model.rows import OwnRow, OwnStep
from sopslab.model.wire import decoded
from sopslab.policy.printing import in_one_line

_LONGEST = 600  # characters of a sentence or a command


def published(file: Path) -> OwnRow | None:
    """Return the row in a file; None if there is no such file, or no row in it."""
    row = decoded(OwnRow, read_plain(file))
    if row is None or not row.steps:
        return None
    steps = [_bounded(step) for step in row.steps]
    return replace(row, steps=steps, next=_sentence(row.next), fix=_command(row.fix))


def learners_own(command: str, seat: str) -> str:
    """Return *command* if the learner at a seat can run it, else an empty string.

    At a seat, a learner has git, the scripts of the repository, an editor, and kubectl for the
    seat's own namespace. A learner has no `sopslab`, and no rights in other namespaces.
    """
    kubectl = f"kubectl -n {seat_namespace(seat)} "
    mine = (f"{kubectl}{verb} " for verb in ("get", "describe", "delete"))
    own = ("git ", "scripts/", "${EDITOR:-vi} ", *mine)
    return command if all(part.startswith(own) for part in command.split(" && ")) else ""


def _bounded(step: OwnStep) -> OwnStep:
    return replace(step, id=_sentence(step.id), found=_sentence(step.found), fix=_command(step.fix))


def _sentence(text: str) -> str:
    return in_one_line(text[:_LONGEST]).strip()


def _command(text: str) -> str:
    # A command that is cut off would do something else.
    return _sentence(text) if len(text) <= _LONGEST else ""
