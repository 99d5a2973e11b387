"""Stage the leak of the chapter in an environment, and take it away again."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from sopslab.config.environment import Environment
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.incidents.leak import (
    CLONE,
    KEY,
    LOG,
    PATH,
    SECRET,
    STATE,
    kept_dir,
    leak_dir,
    render_staged,
)
from sopslab.lab.act.branches import move
from sopslab.lab.act.checkpoints import put_clone_back
from sopslab.lab.act.copies import worked_on
from sopslab.lab.act.failures import attempt, has_failed
from sopslab.lab.observe.checkpoints import Repository
from sopslab.lab.observe.drills import note_of
from sopslab.lab.tools import files, sops
from sopslab.lab.tools.git import MAIN, Author, Git
from sopslab.layout import LIST_PATH
from sopslab.model.drills import Staged

_ROBIN = Author("Robin Junior", "robin@example.org")
_HURRY = "Give the payment API its key, so that the deploy works again"


def stage(lab: Lab, environment: Environment, text: dict[str, str]) -> None:
    """Stage a leak: commit a value in plain text on main, revert that commit, and then commit the
    same value encrypted; and make a log and a clone that hold the value.

    These are the commits of a colleague in a hurry, in the same order; only the server's guard is
    bypassed. The value exists in this process, in pipes and in files of the lab, and is recognised
    later by its hash.

    + text: the texts that explain the drill, by path
    """
    with worked_on(lab, [environment]):
        _stage(lab, environment, text)


def _stage(lab: Lab, environment: Environment, text: Mapping[str, str]) -> None:
    repository = Repository(lab, environment)
    repository.refresh()
    git, main = repository.git, repository.main
    if main is None:
        raise LabError("the repository has no branch main")
    listed = _listed_on(repository, main)
    value = f"pay_{secrets.token_hex(24)}"
    staged = _commit(lab, environment, repository, main, listed, value)
    folder = Path(leak_dir(lab, environment.id))
    with files.umask(0o077):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with files.new_folder(folder) as new:
            for path, content in text.items():
                Path(new, path).parent.mkdir(parents=True, exist_ok=True)
                Path(new, path).write_text(content, encoding="utf-8")
            _clone(lab, git, new / CLONE, staged.leak, environment)
            (new / LOG).write_text(_log(environment, value))
            (new / STATE).write_text(render_staged(staged))
            # The folder appears with everything that belongs to the drill; main is moved after
            # that, unless somebody has pushed meanwhile.
            if folder.exists():
                shutil.rmtree(folder)
            new.rename(folder)
    move(repository, MAIN, staged.fixed, main)


def _listed_on(repository: Repository, main: str) -> bytes:
    """Return the kustomization on main with the leak added to its list. Raises LabError where the
    leak cannot be committed or listed there."""
    git = repository.git
    git.refuse_links(main, PATH, LIST_PATH)
    if git.ask("cat-file", "-e", f"{main}:{PATH}").code == 0:
        raise LabError(f"main has a {PATH} of its own: `sopslab reset` takes it away")
    listed = with_entry(git.blob(main, LIST_PATH) or b"", f"{SECRET}.yaml")
    if listed is None:
        raise LabError(
            f"{LIST_PATH} on main has no list of resources: `sopslab reset` brings it back"
        )
    return listed


def with_entry(kustomization: bytes, name: str) -> bytes | None:
    """Return a kustomization with a file added at the top of its resources; None if it has no list
    of resources that begins on a line of its own."""
    listed, found = re.subn(
        rb"(?m)^resources:[ \t]*$",
        lambda line: line[0] + f"\n  - {name}".encode(),
        kustomization,
        count=1,
    )
    return listed if found else None


def _commit(
    lab: Lab,
    environment: Environment,
    repository: Repository,
    main: str,
    listed: bytes,
    value: str,
) -> Staged:
    """Make the drill's commits on top of main, and return them; no ref leads to them yet."""
    git = repository.git
    plain = (
        f"apiVersion: v1\nkind: Secret\nmetadata:\n  name: {SECRET}\n"
        f"  namespace: {environment.namespace}\nstringData:\n  {KEY}: {value}\n"
    ).encode()
    # Encrypted by the rules that the lab made, not by those that are on main.
    encrypted = sops.encrypt(lab, repository.first_rules(), PATH, plain)
    leak = git.commit_files(main, _HURRY, {LIST_PATH: listed, PATH: plain}, _ROBIN)
    reverted = git.commit_tree(
        f"{main}^{{tree}}", [leak], f'Revert "{_HURRY}"\n\nThis reverts commit {leak}.', _ROBIN
    )
    fixed = git.commit_files(
        reverted, "Encrypt the key of the payment API", {LIST_PATH: listed, PATH: encrypted}, _ROBIN
    )
    return Staged(main, leak, fixed, hashlib.sha256(value.encode()).hexdigest())


def _clone(lab: Lab, git: Git, folder: Path, leak: str, environment: Environment) -> None:
    """Make the clone that Kim made while the value was there for all to see. It has no work tree,
    because a learner's links would be followed in one."""
    clone = Git(lab, folder)
    clone.run("-c", "init.defaultBranch=main", "init", "--quiet", "--bare", "--template=")
    git.run(
        "-c", f"core.hooksPath={os.devnull}", "push", "--quiet", str(folder),
        f"{leak}:{MAIN}", f"{leak}:refs/remotes/origin/main",
    )  # fmt: skip
    clone.run("config", "remote.origin.url", f"{lab.git_base_url}/{environment.repository}.git")


def _log(environment: Environment, value: str) -> str:
    return (
        "run 4711: deploy develop, after a push of Robin Junior\n"
        "$ scripts/deploy.sh develop\n"
        "payment-api: the container has these variables:\n"
        f"  NAMESPACE={environment.namespace}\n  LOG_LEVEL=debug\n  {KEY}={value}\n"
        "payment-api: started\n"
        "run 4711: passed\n"
    )


def end(lab: Lab, environments: list[Environment], saved: str) -> None:
    """Put main back to where it was before a drill, and delete the other branches and tags that
    hold its leak. Delete such branches in the clone of the lab's own learner, too. What was made on
    top of the leak is kept in bundles.

    + saved: the branch for what the clone has not pushed
    """
    with worked_on(lab, environments):
        for environment in environments:
            with attempt(lab, environment.id, "its drill could not be ended"):
                _end(lab, environment)
    for environment in environments:
        if not environment.is_seat and not has_failed(lab, environment.id):
            _end_in_clone(lab, environment, saved)


def _end(lab: Lab, environment: Environment) -> None:
    repository, staged = Repository(lab, environment), note_of(lab, environment)
    repository.refresh()
    git = repository.git
    if staged is None or git.commit(staged.leak) is None or git.commit(staged.before) is None:
        return
    refs = git.refs_with(staged.leak, "refs/heads", "refs/tags")
    if not refs:
        return
    _keep(lab, git, refs, staged, environment.id)
    # If somebody pushes now, their commits are in no bundle: then git refuses, and nothing changes.
    if repository.url is not None:
        leases = [f"--force-with-lease={ref}:{tip}" for ref, tip in refs.items()]
        wanted = [f"{staged.before if ref == MAIN else ''}:{ref}" for ref in refs]
        git.run("push", "--quiet", "--atomic", *leases, repository.url, *wanted)
    git.update_refs(
        *(
            f"update {ref} {staged.before} {tip}" if ref == MAIN else f"delete {ref} {tip}"
            for ref, tip in refs.items()
        )
    )


def _end_in_clone(lab: Lab, environment: Environment, saved: str) -> None:
    staged, work = note_of(lab, environment), Git(lab, lab.work_dir, work=True)
    if staged is None or not Path(lab.work_dir, ".git").is_dir() or not _has(work, staged.leak):
        return
    put_clone_back(lab, environment, saved)
    refs = work.refs_with(staged.leak, "refs/heads", "refs/tags")
    if refs:
        _keep(lab, work, refs, staged, "clone")
        work.update_refs(*(f"delete {ref} {tip}" for ref, tip in refs.items()))


def _has(work: Git, leak: str) -> bool:
    """Return whether a clone has a leak where somebody would come upon it: in HEAD, a branch or a
    tag."""
    if work.commit(leak) is None:
        return False
    return work.is_ancestor(leak, "HEAD") or bool(
        work.refs_with(leak, "refs/heads", "refs/remotes", "refs/tags")
    )


def _keep(lab: Lab, git: Git, refs: Mapping[str, str], staged: Staged, name: str) -> None:
    """Write the commits that refs have since a drill began to a bundle. A bundle is a file and not
    a ref, so the leak stays in no history that is searched."""
    kept = Path(kept_dir(lab))
    with files.umask(0o077), files.new_folder(lab.class_dir) as new:
        kept.mkdir(parents=True, exist_ok=True)
        git.run("bundle", "create", "--quiet", f"{new}/bundle", *refs, f"^{staged.before}")
        moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        Path(new, "bundle").rename(kept / f"{name}-{moment}.bundle")
