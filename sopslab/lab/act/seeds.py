"""Fill learners' repositories, once: each with one commit, which has a canary for the learner.

A canary is an encrypted Secret with a random value, which exists in this process and in pipes only.
"""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.errors import LabError
from sopslab.lab.act.copies import worked_on
from sopslab.lab.act.failures import fail, has_failed
from sopslab.lab.act.secrets import new_canary, new_token
from sopslab.lab.observe.checkpoints import START
from sopslab.lab.observe.keys import key_file
from sopslab.lab.tools import files, sops
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed
from sopslab.layout import CANARY_PATH
from sopslab.model.repositories import Beginning
from sopslab.model.results import Undecided

# The commit's ref until the commit is main and the start.
NEW = "refs/lab/new"


def seed(lab: Lab, environments: list[Environment], beginnings: dict[str, Beginning]) -> None:
    """Fill the repositories of environments, several at a time. A seat's failure is recorded while
    the others go on; a failure of the lab's own learner is raised.

    + beginnings: how each repository begins, by the learner's id
    """
    processors = len(os.sched_getaffinity(0))
    with worked_on(lab, environments), ThreadPoolExecutor(processors) as pool:
        list(pool.map(lambda one: _seed(lab, one, beginnings[one.id]), environments))


def _seed(lab: Lab, environment: Environment, beginning: Beginning) -> None:
    if environment.is_seat and has_failed(lab, environment.id):
        return
    fill = _fill if lab.git_url is None else _push
    try:
        fill(lab, environment, beginning)
    except (Failed, LabError, Undecided, OSError) as error:
        if not environment.is_seat:
            raise
        words = error.words if isinstance(error, Failed) else f"{error}\n".encode()
        log(words)
        fail(lab, environment.id, "its repository could not be filled")


def _push(lab: Lab, environment: Environment, beginning: Beginning) -> None:
    """Fill a repository on a Git server that is not the lab's own."""
    with files.new_folder(lab.work_dir) as folder:
        git = Git(lab, folder / "lab.git", login=lab.login_file(INSTRUCTOR))
        git.run("init", "--quiet", "--bare")
        _begin(lab, git, environment, beginning, new_token())
        git.push(f"{lab.git_base_url}/{environment.repository}.git", f"{NEW}:{MAIN}")


def _fill(lab: Lab, environment: Environment, beginning: Beginning) -> None:
    """Fill a repository of the lab's own Git server directly on this machine's disk: a hundred
    pushes would take a minute.

    The commit becomes main and the start. A learner's push to the branch `reset` puts main back to
    the start; no push can change the start itself.
    """
    git = Git(lab, bare_repository(lab, environment))
    begun = git.blob(START, CANARY_PATH)
    # If the start is there, the repository is the learner's and stays; only the hash of its canary
    # was lost. The hash is kept first, and the branch appears last.
    token = new_token() if begun is None else _opened(lab, environment, begun)
    if environment.is_seat:
        # For a learner who is alone, no hash is needed: the lab decrypts the canary on main.
        digest = hashlib.sha256(token.encode()).hexdigest()
        files.write(Path(lab.seat_dir(environment.id), "canary"), f"{digest}\n")
    if begun is None:
        _begin(lab, git, environment, beginning, token)
        git.update_refs(f"create {START} {NEW}", f"create {MAIN} {NEW}", f"delete {NEW}")


def _begin(lab: Lab, git: Git, environment: Environment, beginning: Beginning, token: str) -> None:
    """Make the first commit, with a canary whose value is the token, and point `NEW` at it."""
    rules = beginning.rules.encode()
    manifest = new_canary(lab, rules, environment.namespace, token)
    canary = f"M 100644 inline {CANARY_PATH}\ndata {len(manifest)}\n".encode() + manifest + b"\n"
    # With `--done`, git refuses input that is cut off, because the `done` at its end is missing.
    git.run(
        "-c", "fastimport.unpackLimit=1", "fast-import",
        "--quiet", "--force", "--done", "--date-format=now",
        stdin=beginning.commit.encode() + canary + b"done\n",
    )  # fmt: skip


def _opened(lab: Lab, environment: Environment, manifest: bytes) -> str:
    identity = key_file(lab, environment.key)
    answer = sops.decrypt(lab, identity, manifest, "--extract", '["stringData"]["value"]')
    if answer.code:
        raise LabError(f"the canary of {environment.id} could not be decrypted")
    return answer.text
