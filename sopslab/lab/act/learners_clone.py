"""The clone of the lab's own learner, with the commit hook installed."""

from __future__ import annotations

import re
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.observe.learners_clone import hook_of, is_the_learners
from sopslab.lab.tools import files, git
from sopslab.lab.tools.git import Author, Git


def complete(lab: Lab, repository: str, author: Author, hook: str) -> None:
    """Make the clone of a repository, if there is none, and install the hook in it, unless the
    learner has one of their own.

    + repository: its path on the Git server, without `.git`
    + author: who commits there
    + hook: the text of the pre-commit hook
    """
    work = Path(lab.work_dir)
    if not (work / ".git").is_dir():
        _clone(lab, repository, author)
    _log_in(lab)
    if not is_the_learners(hook_of(work)):
        files.write(hook_of(work), hook, 0o755)


def _clone(lab: Lab, repository: str, author: Author) -> None:
    login = lab.login_file(lab.learner_id)
    settings = {
        "user.name": author.name,
        "user.email": author.email,
        "http.proxy": "",
    }
    if lab.git_ca is not None:
        settings["http.sslCAInfo"] = lab.git_ca
    with files.new_folder(lab.work_dir) as new:
        git.clone(lab, f"{lab.git_base_url}/{repository}.git", new / "work", login, settings)
        (new / "work").rename(lab.work_dir)


def _log_in(lab: Lab) -> None:
    """Configure the clone to log in as its learner; a credential helper of the learner's own
    stays."""
    login = lab.login_file(lab.learner_id)
    # Our former helper is replaced: with it, Git erased a login that a server had refused once.
    former = re.escape(f"store --file='{login}'")
    ours = rf"^({former}$|!only_get\(\))"
    helper = git.login_helper(login)
    work = Git(lab, lab.work_dir, work=True)
    work.run("config", "--replace-all", "credential.helper", helper, ours)


def move(lab: Lab, repository: str) -> None:
    """Point the clone's origin to the Git server's present address, and trust the server's present
    CA."""
    work = Git(lab, lab.work_dir, work=True)
    work.run("config", "remote.origin.url", f"{lab.git_base_url}/{repository}.git")
    if lab.git_ca is not None:
        work.run("config", "http.sslCAInfo", lab.git_ca)
    else:
        work.ask("config", "--unset-all", "http.sslCAInfo")
