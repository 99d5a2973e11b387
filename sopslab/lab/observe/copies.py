"""Copies, on this machine, of the repositories of a Git server in the cluster.

The program looks at the copies and works on them, because the keys that open the files must not
leave this machine. One call to the server's pod lists the refs of all repositories. Whatever is new
is then fetched over HTTP, as every client does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
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
# The server handles four requests of one user at once.
_AT_ONCE = 4
_FETCH_S = 60
# Another run works on the repositories of a class for seconds only.
_WAIT_S = 60


@dataclass(frozen=True)
class Copied:
    """The outcome of bringing copies up to date, by the repository's path without `.git`: `refs`
    has the refs of each copy, `problems` says in a clause why it failed for the others. `lost` are
    those of the others that the server has lost: their copies may be the last ones left."""

    refs: Mapping[str, Mapping[str, str]]
    problems: Mapping[str, str]
    lost: Set[str]


class _Lost(Exception):
    pass


def bring(places: Places, environments: Iterable[Environment]) -> Mapping[str, str]:
    """Bring the copies of the environments' repositories up to date. Return in clauses why this
    failed, by the learner's id. If the Git server is not in the cluster, do nothing."""
    learners = {one.repository: one.id for one in environments}
    problems = bring_repositories(places, list(learners))
    return {learners[repository]: problem for repository, problem in problems.items()}


def bring_repositories(places: Places, repositories: Sequence[str]) -> Mapping[str, str]:
    """Do the same as `bring` for repositories, given and returned by their paths without `.git`."""
    if places.git_pod is None or not repositories:
        return {}
    if not files.has_content(places.lab_kubeconfig):
        # There is no cluster yet, and a look must not create the copies' folder.
        return dict.fromkeys(repositories, SILENT)
    try:
        with held(places):
            return refresh(places, repositories).problems
    except LabError as error:
        return dict.fromkeys(repositories, str(error))


@contextmanager
def held(places: Places) -> Iterator[None]:
    """Hold the lock of the copies in the block. Raises LabError if another run holds it for longer
    than a minute."""
    files.private_folder(places.git_dir)
    busy = "another run works on the repositories: wait for it to end"
    with locked(f"{places.git_dir}/copies.lock", _WAIT_S, busy):
        yield


def refresh(places: Places, repositories: Sequence[str]) -> Copied:
    """Bring copies up to date; the caller has to hold the lock (`held`). Raises LabError if the
    server's pod does not answer."""
    there = listed(places, list(repositories))
    refs: dict[str, Mapping[str, str]] = {}
    problems: dict[str, str] = {}
    lost: set[str] = set()

    def follow(repository: str) -> None:
        try:
            refs[repository] = _follow(places, repository, there.get(repository))
        except _Lost:
            lost.add(repository)
            problems[repository] = _LOST
        except (Failed, OSError):
            problems[repository] = _UNREAD

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(follow, repositories))
    return Copied(refs, problems, lost)


def copy_of(places: Places, repository: str) -> Git:
    """Return the copy of a repository, whether it exists yet or not."""
    folder = Path(places.git_dir, "repositories", f"{repository}.git")
    return Git(places, folder, login=places.login_file(INSTRUCTOR))


def refs_here(places: Places, repository: str) -> Mapping[str, str]:
    """Return the refs in the copy of a repository; none if there is no copy. Raises Failed."""
    git = copy_of(places, repository)
    return refs_of(git) if git.folder.is_dir() else {}


def _follow(places: Places, repository: str, wanted: Listed | None) -> Mapping[str, str]:
    """Make a copy equal to the server's repository, and return its refs. Raises Failed, OSError,
    and _Lost if the copy has refs and the server has none: the copy may be the last one left."""
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
    """Return which of the repositories the lab's own Git server has; none if it cannot be asked. A
    repository that is empty on the server, but not in its copy, is lost and not returned.

    + repositories: their paths without `.git`
    """
    try:
        if lab.git_pod is None:
            return those_there(lab, repositories)
        there = listed(lab, repositories)
        return [one for one in there if there[one].refs or not refs_here(lab, one)]
    except (Failed, LabError):
        return []
