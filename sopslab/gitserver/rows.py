"""A learner's own row, as the board has published it, for whoever tells the learner of it.

The board writes it of what learners have pushed: every text of it stays in its line, and within
bounds.
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
    """Return a row; None where there is none, or what is there is none."""
    row = decoded(OwnRow, read_plain(file))
    if row is None or not row.steps:
        return None
    steps = [_bounded(step) for step in row.steps]
    return replace(row, steps=steps, next=_sentence(row.next), fix=_command(row.fix))


def learners_own(command: str, seat: str) -> str:
    """Return a command that helps if the learner at a seat can run it, else nothing.

    There a learner has git, the scripts of the repository, an editor, and kubectl for what is in
    the own namespace: neither `sopslab` nor any right beside it.
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
    # Part of a command would do something else.
    return _sentence(text) if len(text) <= _LONGEST else ""
