"""Work on repositories of a Git server in the cluster: it is done on copies on this machine, which
are then published to the server together."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act import repositories as of_server
from sopslab.lab.act.failures import fail_first, told
from sopslab.lab.observe import copies
from sopslab.lab.observe.repositories import listed, notes_of, refs_of
from sopslab.lab.tools.git import NOTHING, Git
from sopslab.lab.tools.programs import Failed
from sopslab.model.copies import Change

# About how many bytes of packs go in one call: the server's pod holds them in memory, beside what
# learners push.
_MOST = 8 * 1024 * 1024


@contextmanager
def worked_on(lab: Lab, environments: Sequence[Environment]) -> Iterator[None]:
    """Publish what the block changes in the repositories of environments to the Git server, where
    that is in the cluster. Each repository changes as a whole or not at all, and only if nobody has
    pushed meanwhile.

    If the block fails, nothing changes on the server. Raises LabError where the server does not
    answer, or refuses the only repository; of several, a failure is recorded for each refused one.
    """
    if lab.git_pod is None:
        yield
        return
    learners = {one.repository: one.id for one in environments}
    with copies.held(lab):
        before = copies.refresh(lab, list(learners))
        _tell(lab, learners, before.problems)
        yield
        refused = _publish(lab, before.refs)
    _tell(lab, learners, refused)


@contextmanager
def archivable(lab: Lab, environments: Sequence[Environment]) -> Iterator[None]:
    """Keep the newest copies of environments' repositories on this machine during the block, where
    the Git server is in the cluster: no other run makes or changes a copy meanwhile. What the
    server has lost cannot be newer than its copy.

    Raises LabError if the server does not answer, or a repository cannot be fetched.
    """
    if lab.git_pod is None:
        yield
        return
    learners = {one.repository: one.id for one in environments}
    with copies.held(lab):
        found = copies.refresh(lab, list(learners))
        for repository, problem in found.problems.items():
            if repository not in found.lost:
                whose = learners[repository]
                raise LabError(f"the repository of {whose} cannot be archived: {problem}")
        yield


def make(lab: Lab, repositories: list[str]) -> None:
    """Make bare repositories on the lab's own Git server. In the cluster, an empty one is filled
    with its copy from this machine and the notes beside that. Raises Failed, and LabError where the
    server does not answer, or refuses the content.

    + repositories: their paths, without `.git`
    """
    there = listed(lab, repositories)
    missing = [one for one in repositories if one not in there]
    if missing:
        of_server.make(lab, missing)
    if lab.git_pod is None:
        return
    with copies.held(lab):
        empty = [one for one in repositories if one not in there or not there[one].refs]
        refused = _publish(lab, {one: {} for one in empty})
    for repository, problem in refused.items():
        raise LabError(f"{repository}: {problem}")


def _publish(lab: Lab, before: Mapping[str, Mapping[str, str]]) -> Mapping[str, str]:
    """Publish copies to the server; return, in a clause for each repository where that failed, why.

    + before: the refs that the server has, by repository; a repository without any also lacks the
      notes beside it
    """
    refused: dict[str, str] = {}
    changes: dict[str, Change] = {}
    for repository, refs in before.items():
        copy = copies.copy_of(lab, repository)
        made = _change(copy, refs)
        if made is not None:
            changes[repository] = made if refs else replace(made, notes=notes_of(copy.folder))
        if sum(len(one.pack) for one in changes.values()) > _MOST:
            refused |= of_server.change(lab, changes)
            changes = {}
    if changes:
        refused |= of_server.change(lab, changes)
    return {
        repository: f"its repository could not be changed: {told(Failed('git', words.encode()))}"
        for repository, words in refused.items()
    }


def _tell(lab: Lab, learners: Mapping[str, str], problems: Mapping[str, str]) -> None:
    for repository, problem in problems.items():
        if len(learners) == 1:
            raise LabError(problem)
        fail_first(lab, learners[repository], problem)


def _change(git: Git, before: Mapping[str, str]) -> Change | None:
    """Return the change from the refs `before` to those of a repository, None if there is none."""
    now = refs_of(git) if git.folder.is_dir() else {}
    updates = [
        f"update {name} {commit} {before.get(name, NOTHING)}"
        for name, commit in now.items()
        if before.get(name) != commit
    ]
    updates += [f"delete {name} {commit}" for name, commit in before.items() if name not in now]
    if not updates:
        return None
    known = set(before.values())
    new = set(now.values()) - known
    if not new:
        return Change(updates)
    ends = "".join([*(f"{commit}\n" for commit in new), *(f"^{commit}\n" for commit in known)])
    pack = git.run("pack-objects", "--quiet", "--stdout", "--revs", "--thin", stdin=ends.encode())
    return Change(updates, base64.b64encode(pack).decode())
