"""What learners have pushed to main, for a report on the class."""

from __future__ import annotations

import os

from sopslab.config.environment import Environment
from sopslab.config.places import Places
from sopslab.course.chapter import ANSWERS_FILE
from sopslab.lab.observe import trees
from sopslab.lab.observe.checkpoints import START
from sopslab.model.work import LATEST, Commit, Work
from sopslab.policy.sources import Repository as Git
from sopslab.policy.sources import SourceError, TooMuch

_MOST_COMMITS = 500
# In bytes. An answer to the quiz is one line, so a larger file is not read.
_MOST_ANSWERS = 16 * 1024


def look_at_work(places: Places, environment: Environment) -> Work:
    """Return what a learner has pushed, at most the last 500 commits. Raises Undecided."""
    git = trees.bare(places, environment)
    if git is None:
        return Work()
    try:
        branches, refs = trees.look_at_branches(git, START)
        if branches.main is None:
            return Work()
        since = [f"^{refs[START]}"] if START in refs else []
        limit = f"--max-count={_MOST_COMMITS}"
        listed = git.run("log", limit, "--format=%H %ct", branches.main, *since)
        return Work(_commits(listed), _answers(git, branches.main))
    except SourceError as error:
        raise trees.unreadable(error) from None


def _commits(listed: bytes) -> list[Commit]:
    lines = (line.split() for line in os.fsdecode(listed).splitlines())
    return [Commit(name, min(float(at), LATEST)) for name, at in lines][::-1]


def _answers(git: Git, commit: str) -> str | None:
    try:
        files = list(git.tree(commit, ANSWERS_FILE, most=(1, _MOST_ANSWERS)))
    except TooMuch:
        return None
    # A link in the place of the file counts as no answers.
    texts = [blob.data.decode("utf-8", "replace") for blob in files if blob.mode.startswith("100")]
    return texts[0] if texts else None
