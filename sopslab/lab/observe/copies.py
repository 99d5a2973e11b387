"""Copies of the repositories of a Git server in the cluster.

What is looked at and worked on is the copy: keys, which open what is in the repositories, do not
leave this machine. The server's pod says for all repositories at once what it has, and what is new
there is fetched as anybody fetches it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.environment import Environment
from sopslab.config.places import INSTRUCTOR, Lab, Places
from sopslab.errors import LabError
from sopslab.lab.observe.repositories import NOTES, listed, refs_of, those_there
from sopslab.lab.tools import files
from sopslab.lab.tools.git import Git
from sopslab.lab.tools.locks import locked
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.relay import SILENT
from sopslab.model.copies import Listed

_LOST = "the cluster has lost its repository, of which a copy is here: run `sopslab up`"
_UNREAD = "its repository could not be fetched"
# The server answers four requests of a user at once.
_AT_ONCE = 4
_FETCH_S = 60
# What another run does to the repositories of a class takes seconds.
_WAIT_S = 60


@dataclass(frozen=True)
class Copied:
    """How copies were brought up to date: the refs of each, and in a clause why that failed for
    others, by the repository's path without `.git`."""

    refs: Mapping[str, Mapping[str, str]]
    problems: Mapping[str, str]


class _Lost(Exception):
    pass


def bring(places: Places, environments: Iterable[Environment]) -> Mapping[str, str]:
    """Bring the copies of environments' repositories up to date, and return in clauses why that
    failed, by the learner's id. Nothing where the repositories are not in the cluster."""
    learners = {one.repository: one.id for one in environments}
    problems = bring_repositories(places, list(learners))
    return {learners[repository]: problem for repository, problem in problems.items()}


def bring_repositories(places: Places, repositories: Sequence[str]) -> Mapping[str, str]:
    """Do the same for repositories, whose paths are given without `.git`, and by these."""
    if places.git_pod is None or not repositories:
        return {}
    if not files.has_content(places.lab_kubeconfig):
        # Nothing was made yet, and a look makes nothing.
        return dict.fromkeys(repositories, SILENT)
    try:
        with held(places):
            return refresh(places, repositories).problems
    except LabError as error:
        return dict.fromkeys(repositories, str(error))


@contextmanager
def held(places: Places) -> Iterator[None]:
    """Have nobody else work with the copies in the block. Raises LabError where somebody does for
    longer than a minute."""
    files.private_folder(places.git_dir)
    busy = "another run works on the repositories: wait for it to end"
    with locked(f"{places.git_dir}/copies.lock", _WAIT_S, busy):
        yield


def refresh(places: Places, repositories: Sequence[str]) -> Copied:
    """Bring copies up to date, in a block of `held`. Raises LabError where the server's pod does
    not answer."""
    there = listed(places, list(repositories))
    refs: dict[str, Mapping[str, str]] = {}
    problems: dict[str, str] = {}

    def follow(repository: str) -> None:
        try:
            refs[repository] = _follow(places, repository, there.get(repository))
        except _Lost:
            problems[repository] = _LOST
        except (Failed, OSError):
            problems[repository] = _UNREAD

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(follow, repositories))
    return Copied(refs, problems)


def copy_of(places: Places, repository: str) -> Git:
    """Return the copy of a repository, which need not be there."""
    folder = Path(places.git_dir, "repositories", f"{repository}.git")
    return Git(places, folder, login=places.login_file(INSTRUCTOR))


def refs_here(places: Places, repository: str) -> Mapping[str, str]:
    """Return the refs of the copy of a repository, none without a copy. Raises Failed."""
    git = copy_of(places, repository)
    return refs_of(git) if git.folder.is_dir() else {}


def _follow(places: Places, repository: str, wanted: Listed | None) -> Mapping[str, str]:
    """Return the refs of a copy that is as the server's repository. Raises Failed, OSError, and
    _Lost where the server has nothing of what is here: the copy may be the last one."""
    git, known = copy_of(places, repository), refs_here(places, repository)
    if known and (wanted is None or not wanted.refs):
        raise _Lost
    if wanted is None:
        files.remove(git.folder)
        return {}
    if not git.folder.is_dir():
        git.folder.parent.mkdir(parents=True, exist_ok=True)
        git.run("-c", "init.defaultBranch=main", "init", "--quiet", "--bare")
    if known != wanted.refs:
        url = f"{places.git_base_url}/{repository}.git"
        git.run("fetch", "--quiet", "--prune", url, "+refs/*:refs/*", patience=_FETCH_S)
    for name in NOTES:
        _note(git.folder / name, wanted.notes.get(name))
    return refs_of(git)


def _note(file: Path, text: str | None) -> None:
    if text is None:
        files.remove(file)
    elif files.read(file) != text.encode():
        files.write(file, text)


def bare_repositories(lab: Lab, repositories: list[str]) -> list[str]:
    """Return which of the repositories the lab's own Git server has, none where nobody can be
    asked; their paths are given without `.git`. One that is empty there, and not here, is lost."""
    try:
        if lab.git_pod is None:
            return those_there(lab, repositories)
        there = listed(lab, repositories)
        return [one for one in there if there[one].refs or not refs_here(lab, one)]
    except (Failed, LabError):
        return []
