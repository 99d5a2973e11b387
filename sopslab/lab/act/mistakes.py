"""Put commits with which a teammate breaks an environment on main, and take them back.

What the learner committed stays. A mistake is taken out of the history if nobody has committed on
top of it, or if its commit exposes a value. Otherwise, a new commit on top corrects what is still
wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.course.chapter import MANIFEST_PATH, SECRET
from sopslab.course.mistakes import edited, unlisted, with_slip
from sopslab.errors import LabError
from sopslab.lab.act.branches import move
from sopslab.lab.act.clones import fetched
from sopslab.lab.act.copies import worked_on
from sopslab.lab.act.secrets import new_secret
from sopslab.lab.observe.checkpoints import Repository
from sopslab.lab.tools import sops
from sopslab.lab.tools.files import new_folder
from sopslab.lab.tools.git import MAIN, Author, Git
from sopslab.lab.tools.programs import Failed
from sopslab.layout import LIST_PATH
from sopslab.model.faults import Mistake
from sopslab.policy.recipients import CONFIG

TEAMMATE = Author("A teammate", "teammate@example.org")


def checked_main(repository: Repository) -> str:
    """Return the commit of main. Raises LabError where no mistake can be made on top of it."""
    main = repository.main
    if main is None:
        raise LabError("the repository has no branch main")
    repository.git.refuse_links(main, LIST_PATH, MANIFEST_PATH, CONFIG)
    return main


def fits(repository: Repository, main: str, commit: str) -> bool:
    """Whether a mistake that was made before is on main, or can be put there as it is."""
    git = repository.git
    return git.is_ancestor(commit, main) or git.commit(f"{commit}^") == main


def make(lab: Lab, environment: Environment, repository: Repository, main: str, fault: str) -> str:
    """Make a commit on top of main that brings a fault, and return it; no ref leads to it yet.
    Raises LabError where there is nothing to break."""
    git = repository.git

    def before(path: str) -> bytes:
        return git.blob(main, path) or b""

    def changed(path: str, after: bytes) -> dict[str, bytes]:
        if after == before(path):
            raise LabError(f"{path} on main has nothing to break")
        return {path: after}

    match fault:
        case "not-wired":
            files = changed(LIST_PATH, unlisted(before(LIST_PATH), f"{SECRET}.yaml"))
            message = "Tidy up the kustomization"
        case "wrong-recipient":
            rules = _rules_for_a_stranger(lab)
            files = {MANIFEST_PATH: new_secret(lab, rules, environment.namespace)}
            message = "Renew the token"
        case "edited-ciphertext":
            files = changed(MANIFEST_PATH, edited(before(MANIFEST_PATH)))
            message = "Fix the token"
        case "encrypted-regex-typo":
            files = changed(CONFIG, with_slip(before(CONFIG)))
            # Encrypted by the rules that the lab made, not by those on main. The only value in
            # plain text is one that was made up a moment ago.
            rules = with_slip(repository.first_rules())
            files[MANIFEST_PATH] = new_secret(lab, rules, environment.namespace)
            message = "Correct the rules and renew the token"
        case _:
            raise LabError(f"{fault} is not a fault that a commit brings")
    return git.commit_files(main, message, files, TEAMMATE)


def _rules_for_a_stranger(lab: Lab) -> bytes:
    # Nobody has the identity of this recipient: it existed in this process only.
    (recipient,) = sops.recipients(lab, sops.new_identity(lab))
    return (
        f"creation_rules:\n  - encrypted_regex: ^(data|stringData)$\n    age: {recipient}\n"
    ).encode()


def put_on_main(repository: Repository, main: str, commit: str) -> None:
    """Put a mistake on main, unless somebody has pushed meanwhile. Raises Failed."""
    if not repository.git.is_ancestor(commit, main):
        move(repository, MAIN, commit, main)


def take_back(lab: Lab, environment: Environment, mistakes: list[Mistake]) -> None:
    """Remove mistakes from a repository, whatever was committed on top of them.

    + mistakes: in the order in which they are taken back
    """
    with worked_on(lab, [environment]):
        before = _take_back(lab, environment, mistakes)
    if before is not None and not environment.is_seat:
        _follow(lab, environment, before)


def _take_back(lab: Lab, environment: Environment, mistakes: list[Mistake]) -> str | None:
    """Remove mistakes from all branches. Return the commit that main was at before, None if main
    has not moved."""
    repository = Repository(lab, environment)
    repository.refresh()
    git, main, moved = repository.git, repository.main, False
    for mistake in mistakes:
        brought = git.commit(mistake.commit)
        if brought is None:
            continue
        healing = _Healing(lab, git, brought)
        for branch, tip in git.refs_with(brought, "refs/heads").items():
            healed = None
            if mistake.exposes or tip == brought:
                healed = healing.without(tip)
            elif branch == MAIN:
                healed = healing.on_top_of(tip)
            if healed is None:
                continue
            move(repository, branch, healed, tip)
            moved = moved or branch == MAIN
    return main if moved else None


class _Healing:
    """The removal of one mistake from histories."""

    def __init__(self, lab: Lab, git: Git, brought: str) -> None:
        self._lab, self._git, self._brought = lab, git, brought
        self._before = git.text("rev-parse", f"{brought}^")
        difference = ("diff", "--binary", "--full-index", self._before, brought)
        paths = git.text("diff", "--name-only", self._before, brought).splitlines()
        self._patches = [git.run(*difference, "--", path) for path in paths]

    def _tree(self, commit: str) -> str:
        """Return the tree of a commit, in which the mistake is undone in each file that it still
        applies to."""
        # What a killed run leaves in this folder is swept up; among the repositories it would stay.
        with new_folder(f"{self._lab.lab_dir}/index") as folder:
            index = {"GIT_INDEX_FILE": f"{folder}/index"}
            self._git.run("read-tree", commit, environment=index)
            for patch in self._patches:
                with suppress(Failed):
                    self._git.run(
                        "apply", "--cached", "--reverse", "-", stdin=patch, environment=index
                    )
            return self._git.text("write-tree", environment=index)

    def without(self, tip: str) -> str:
        """Return the commit that takes the place of `tip` in a history in which the mistake was
        never made."""
        instead = {self._brought: self._before}
        later = self._git.text("rev-list", "--reverse", "--topo-order", tip, f"^{self._brought}")
        for commit in later.split():
            content = self._git.run("cat-file", "commit", commit)
            instead[commit] = self._git.text(
                "hash-object", "-t", "commit", "-w", "--stdin",
                stdin=replanted(content, self._tree(commit), instead),
            )  # fmt: skip
        return instead[tip]

    def on_top_of(self, tip: str) -> str | None:
        """Return a commit on top of `tip` that corrects what is still wrong, None if nothing is."""
        tree = self._tree(tip)
        if tree == self._git.text("rev-parse", f"{tip}^{{tree}}"):
            return None
        return self._git.commit_tree(tree, [tip], "Undo a mistake", TEAMMATE)


def replanted(commit: bytes, tree: str, instead: Mapping[str, str]) -> bytes:
    """Return a commit with another tree and other parents; everything else in it is kept.

    + instead: for each commit that is replaced, the one that takes its place
    """
    header, blank, message = commit.partition(b"\n\n")
    lines = header.split(b"\n")
    for number, line in enumerate(lines):
        name, _, value = line.partition(b" ")
        if name == b"tree":
            lines[number] = b"tree " + tree.encode()
        elif name == b"parent":
            parent = value.decode()
            lines[number] = b"parent " + instead.get(parent, parent).encode()
    return b"\n".join(lines) + blank + message


def _follow(lab: Lab, environment: Environment, before: str) -> None:
    """Move the learner's clone to main, if the clone has nothing of its own."""
    if not Path(lab.work_dir, ".git").is_dir():
        return
    work = fetched(lab, environment)
    here = work.commit("HEAD") == before and work.branch == MAIN
    if here and not work.text("status", "--porcelain"):
        work.run("reset", "--quiet", "--hard", "refs/remotes/origin/main")
