"""Learners' repositories, filled once: with one commit, and in it a canary for each learner.

A canary is an encrypted Secret of a random value, which exists in this process and in pipes only.
"""

from __future__ import annotations

import hashlib
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import fail, has_failed
from sopslab.lab.act.secrets import new_canary, new_token
from sopslab.lab.observe.checkpoints import START
from sopslab.lab.tools import files, sops
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.programs import Failed
from sopslab.model.beginnings import Beginning
from sopslab.model.results import Undecided

# What the commit is called until it is main, and the start.
NEW = "refs/lab/new"


def seed(lab: Lab, repository: str, beginning: Beginning, canary: str) -> None:
    """Push the first commit of a learner's repository.

    + repository: its path on the Git server, without `.git`
    + canary: where the canary goes; "" without one
    """
    login = lab.login_file(INSTRUCTOR)
    with files.new_folder(lab.work_dir) as folder:
        git = Git(lab, folder / "lab.git", login=login)
        git.run("init", "--quiet", "--bare")
        _begin(lab, git, beginning, canary, new_token())
        if lab.git_url is None:
            # Whoever pushes to the branch `reset` is put back to this; no push itself can set it.
            bare = Git(lab, f"{lab.git_dir}/repositories/{repository}.git")
            bare.run("fetch", "--quiet", str(git.folder), f"+{NEW}:{START}")
        git.push(f"{lab.git_base_url}/{repository}.git", f"{NEW}:{MAIN}")


def seed_seats(lab: Lab, beginnings: list[Beginning], canary: str) -> None:
    """Fill the repositories of seats, straight into the bare ones, which are this machine's own: a
    hundred pushes would take a minute. A seat that fails says so.

    + canary: where the canary goes
    """
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(partial(_seed_seat, lab, canary), beginnings))


def _seed_seat(lab: Lab, canary: str, beginning: Beginning) -> None:
    seat = beginning.learner
    if has_failed(lab, seat):
        return
    try:
        _fill(lab, canary, beginning)
    except (Failed, LabError, Undecided, OSError) as error:
        words = error.words if isinstance(error, Failed) else f"{error}\n".encode()
        sys.stderr.buffer.write(words)
        fail(lab, seat, "its repository could not be filled")


def _fill(lab: Lab, canary: str, beginning: Beginning) -> None:
    seat = beginning.learner
    git = Git(lab, f"{lab.git_dir}/repositories/{seat}/lab.git")
    begun = git.blob(START, canary)
    # Where it is there, the repository is the learner's and stays; only the hash of its canary was
    # lost. The hash is kept first, and the branch appears last.
    token = new_token() if begun is None else _opened(lab, seat, begun)
    digest = hashlib.sha256(token.encode()).hexdigest()
    files.write(Path(lab.seat_dir(seat), "canary"), f"{digest}\n")
    if begun is None:
        _begin(lab, git, beginning, canary, token)
        git.update_refs(f"create {START} {NEW}", f"create {MAIN} {NEW}", f"delete {NEW}")


def _begin(lab: Lab, git: Git, beginning: Beginning, canary: str, token: str) -> None:
    """Have `NEW` be the first commit."""
    commit = beginning.commit.encode()
    if canary:
        rules = beginning.rules.encode()
        manifest = new_canary(lab, rules, canary, beginning.namespace, token)
        commit += f"M 100644 inline {canary}\ndata {len(manifest)}\n".encode() + manifest + b"\n"
    # What is cut off has no `done`.
    git.run(
        "-c", "fastimport.unpackLimit=1", "fast-import",
        "--quiet", "--force", "--done", "--date-format=now",
        stdin=commit + b"done\n",
    )  # fmt: skip


def _opened(lab: Lab, seat: str, manifest: bytes) -> str:
    identity = f"{lab.keys_dir}/{seat}.agekey"
    answer = sops.decrypt(lab, identity, manifest, "--extract", '["stringData"]["value"]')
    if answer.code:
        raise LabError(f"the canary of {seat} could not be decrypted")
    return answer.text
