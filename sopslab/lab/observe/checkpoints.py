"""How the learners' repositories, and the clone on the lab's machine, compare with the checkpoints.

If the Git server is not the lab's own, the bare repository on this machine is a copy of the
server's branches, and checkpoints are kept only here.
"""

from __future__ import annotations

from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.errors import LabError
from sopslab.lab.observe.copies import bring
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.programs import Failed
from sopslab.model.repositories import CloneState, RepositoryState
from sopslab.policy.recipients import CONFIG

START = "refs/lab/start"
_FIRST = " Begin the lab"
_FETCH_S = 20
_NO_START = "nothing tells which commit the repository began with"


def checkpoint_ref(checkpoint: str) -> str:
    """Return the ref that points at a checkpoint."""
    return f"refs/lab/{checkpoint}"


class Repository:
    """A learner's repository on the lab's machine."""

    def __init__(self, lab: Lab, environment: Environment) -> None:
        login = lab.login_file(INSTRUCTOR)
        url = f"{lab.git_base_url}/{environment.repository}.git"
        self.url = None if lab.git_url is None else url
        self.git = Git(lab, bare_repository(lab, environment), login=login)

    def refresh(self) -> None:
        """Fetch the branches from a Git server that is not the lab's own. Raises Failed."""
        if self.url is None:
            return
        if not self.git.folder.is_dir():
            self.git.folder.parent.mkdir(parents=True, exist_ok=True)
            self.git.run("init", "--quiet", "--bare")
        self.git.run(
            "fetch", "--quiet", "--prune", self.url, "+refs/heads/*:refs/heads/*",
            patience=_FETCH_S,
        )  # fmt: skip

    @property
    def main(self) -> str | None:
        """The commit of main, None without a branch main."""
        return self.git.commit(MAIN)

    @property
    def start(self) -> str | None:
        """The commit that the repository began with, None if it cannot be determined."""
        kept = self.git.commit(START)
        if kept is not None:
            return kept
        # A lab that an older version made, or on another Git server, has no such ref.
        roots = self.git.ask("log", "--all", "--max-parents=0", "--format=%H %s").text.splitlines()
        first = [root.removesuffix(_FIRST) for root in roots if root.endswith(_FIRST)]
        return first[0] if len(first) == 1 else None

    def begun(self) -> str:
        """Return the commit that the repository began with. Raises LabError if it cannot be
        determined."""
        start = self.start
        if start is None:
            raise LabError(_NO_START)
        return start

    def first_rules(self) -> bytes:
        """Return the creation rules that the lab made, even if main has others now. Raises LabError
        if the first commit cannot be determined, and Failed."""
        return self.git.run("cat-file", "blob", f"{self.begun()}:{CONFIG}")

    def unfetched(self) -> str | None:
        """Do the same as `refresh`, and return in a clause why that failed."""
        try:
            self.refresh()
        except Failed:
            return f"the Git server does not answer at {self.url}"
        return None

    def problem(self) -> str | None:
        """Return why the repository cannot be examined, None if it can be."""
        problem = self.unfetched()
        if problem is None and not self.git.is_there():
            return f"the repository {self.git.folder} is gone: `sopslab up` makes it anew"
        return problem


def unfetched(lab: Lab, environment: Environment) -> str | None:
    """Bring the copy of an environment's repository up to date if its Git server is elsewhere: in
    the cluster, or not the lab's own. Return in a clause why that failed."""
    problem = bring(lab, [environment]).get(environment.id)
    return problem or Repository(lab, environment).unfetched()


def free_name(git: Git, saved: str) -> str:
    """Return a name for a branch that was to be called `saved/…`. If a branch `saved` exists, Git
    allows no `saved/…`, so the slash is replaced."""
    return saved if git.commit("refs/heads/saved") is None else saved.replace("/", "-")


def repository_states(
    lab: Lab, environments: list[Environment], checkpoint: str, saved: str
) -> dict[str, RepositoryState]:
    """Return how each learner's repository compares with a checkpoint."""
    unknown = bring(lab, environments)
    return {
        one.id: RepositoryState(problem=unknown[one.id])
        if one.id in unknown
        else _state(Repository(lab, one), checkpoint, saved)
        for one in environments
    }


def _state(repository: Repository, checkpoint: str, saved: str) -> RepositoryState:
    problem = repository.problem()
    if problem is not None:
        return RepositoryState(problem=problem)
    start = repository.start
    if start is None:
        return RepositoryState(problem=_NO_START)
    git, main = repository.git, repository.main
    target = start if checkpoint == "start" else git.commit(checkpoint_ref(checkpoint))
    return RepositoryState(main, target, git.count(main, target or start), free_name(git, saved))


def clone_state(
    lab: Lab, environment: Environment, checkpoint: str, saved: str
) -> CloneState | None:
    """Return how the learner's clone compares with a checkpoint; None if there is no clone."""
    if not Path(lab.work_dir, ".git").is_dir():
        return None
    repository = Repository(lab, environment)
    start = repository.start
    if start is None:
        return None
    target = repository.git.commit(checkpoint_ref(checkpoint)) or start
    # With the repository's objects, the clone can be compared without fetching anything.
    work = Git(lab, lab.work_dir, work=True, objects=repository.git.folder / "objects")
    listed = repository.git.text(
        "for-each-ref", "--format=^%(objectname)", "refs/heads", "refs/lab"
    )
    tips = own_tips(work)
    unpushed = int(work.text("rev-list", "--count", *tips, *listed.split())) if tips else 0
    changed = work.text("status", "--porcelain", "--untracked-files=all").splitlines()
    return CloneState(
        unpushed,
        len(changed),
        not changed and work.branch == MAIN and work.commit("HEAD") == target,
        free_name(work, saved),
    )


def own_tips(work: Git) -> list[str]:
    """Return the commits of HEAD and main in a clone, as far as they exist."""
    found = [work.commit("HEAD"), work.commit(MAIN)]
    return [commit for commit in found if commit is not None]
