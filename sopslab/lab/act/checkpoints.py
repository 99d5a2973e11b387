"""Put repositories, and then the learner's clone, back to a checkpoint, whatever state they are in.

A checkpoint is made when it is first asked for, on top of the checkpoint before it, and kept.
"""

from __future__ import annotations

import re

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.course.chapter import MANIFEST_PATH, SECRET
from sopslab.errors import LabError
from sopslab.lab.act.clones import fetched
from sopslab.lab.act.copies import worked_on
from sopslab.lab.act.failures import attempt
from sopslab.lab.act.secrets import new_secret
from sopslab.lab.observe.checkpoints import Repository, checkpoint_ref, free_name, own_tips
from sopslab.lab.tools.files import new_folder
from sopslab.lab.tools.git import MAIN, NOTHING, Git
from sopslab.lab.tools.programs import Failed
from sopslab.layout import ENVIRONMENT, LIST_PATH
from sopslab.policy.recipients import CONFIG


def put_back(lab: Lab, environments: list[Environment], checkpoint: str, saved: str) -> None:
    """Move main of every repository to a checkpoint; what is overwritten is kept on a branch.

    + saved: the branch for commits that the checkpoint does not hold
    """
    with worked_on(lab, environments):
        for environment in environments:
            with attempt(lab, environment.id, "its repository could not be put back"):
                _put_back(lab, environment, checkpoint, saved)


def _put_back(lab: Lab, environment: Environment, checkpoint: str, saved: str) -> None:
    repository = Repository(lab, environment)
    repository.refresh()
    git, main = repository.git, repository.main
    target = _reached(lab, environment, repository, checkpoint)
    if main == target:
        return
    kept = main if git.count(main, target) else None
    branch = f"refs/heads/{free_name(git, saved)}"
    if repository.url is not None:
        if kept is not None:
            git.push(repository.url, f"{kept}:{branch}")
        lease = f"{MAIN}:{main or ''}"
        git.push(repository.url, f"{target}:{MAIN}", lease=lease)
    # All refs change or none, and only if nobody has pushed meanwhile.
    creation = [f"create {branch} {kept}"] if kept is not None else []
    git.update_refs(*creation, f"update {MAIN} {target} {main or NOTHING}")


def _reached(lab: Lab, environment: Environment, repository: Repository, checkpoint: str) -> str:
    """Return the commit of a checkpoint; make the checkpoint if there is none."""
    git, ref = repository.git, checkpoint_ref(checkpoint)
    there = git.commit(ref)
    if there is not None:
        return there
    match checkpoint:
        case "start":
            commit = repository.begun()
        case "encrypted":
            before = _reached(lab, environment, repository, "start")
            rules = git.run("cat-file", "blob", f"{before}:{CONFIG}")
            manifest = new_secret(lab, rules, environment.namespace)
            message = f"Encrypt {SECRET} for {ENVIRONMENT}"
            commit = git.commit_files(before, message, {MANIFEST_PATH: manifest})
        case "wired":
            before = _reached(lab, environment, repository, "encrypted")
            listed = _listed(git.run("cat-file", "blob", f"{before}:{LIST_PATH}"))
            message = f"List {SECRET} in the kustomization"
            commit = git.commit_files(before, message, {LIST_PATH: listed})
        case _:
            commit = _reached(lab, environment, repository, "wired")
    git.run("update-ref", ref, commit, "")
    return commit


def _listed(kustomization: bytes) -> bytes:
    name = re.escape(f"{SECRET}.yaml").encode()
    listed = re.sub(rb"(?m)^( *)# - (%s)$" % name, rb"\1- \2", kustomization)
    if not re.search(rb"(?m)^ *- %s$" % name, listed):
        raise LabError(f"{LIST_PATH} has no line that lists {SECRET}.yaml")
    return listed


def put_clone_back(lab: Lab, environment: Environment, saved: str) -> None:
    """Put the learner's clone on the main of the repository. What was never pushed is kept on a
    branch of the clone, and not pushed now, because it may hold a value in plain text."""
    work = fetched(lab, environment)
    tip = _everything(work)
    if int(work.text("rev-list", "--count", tip, "--not", "--remotes=origin")):
        work.run("update-ref", f"refs/heads/{free_name(work, saved)}", tip, "")
    for operation in ("rebase", "cherry-pick", "revert", "am"):
        # Only one of these operations can be under way; git refuses the others.
        work.ask(operation, "--quit")
    work.run("checkout", "--quiet", "--force", "-B", "main", "refs/remotes/origin/main")
    work.run("config", "branch.main.remote", "origin")
    work.run("config", "branch.main.merge", MAIN)
    work.run("clean", "--quiet", "-d", "--force")


def _everything(work: Git) -> str:
    """Return a commit that holds everything in a clone: its own commits, and its files as they are
    now."""
    tips = own_tips(work)
    # The learner's own index is not touched: a temporary one takes in the files.
    with new_folder(work.folder) as folder:
        index = {"GIT_INDEX_FILE": f"{folder}/index"}
        if tips:
            tips = work.text("merge-base", "--independent", *tips).split()
            try:
                work.run("read-tree", "HEAD", environment=index)
            except Failed:
                work.run("read-tree", "--empty", environment=index)
        work.run("add", "--all", environment=index)
        tree = work.text("write-tree", environment=index)
    if len(tips) == 1 and work.ask("rev-parse", "--verify", f"{tips[0]}^{{tree}}").text == tree:
        return tips[0]
    return work.commit_tree(tree, tips, "What was not pushed before a reset")
