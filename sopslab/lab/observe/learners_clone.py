"""The learner's clone on the lab's machine, and what Git runs before a commit in any clone."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.files import read
from sopslab.lab.tools.git import Git, login_helper
from sopslab.model.repositories import CommitHook, LearnersClone, Origin

_SETTINGS = r"^(remote\.origin\.url|http\.sslcainfo|credential\.helper)$"
# A line that the hook of every version contains.
_OURS = "# Installed by sops-lab."
_RUNS_PRE_COMMIT = re.compile(r"^[^#\n]*\bpre[-_]commit\b", re.MULTILINE)


def hook_of(work: str | Path) -> Path:
    """Return the path of the commit hook that the lab installs in a clone."""
    return Path(work, ".git", "hooks", "pre-commit")


def clone_of_learner(lab: Lab) -> LearnersClone:
    """Return what the clone lacks, where it came from, and its hook if sops-lab installed it."""
    if not Path(lab.work_dir, ".git").is_dir():
        return LearnersClone()
    told = Git(lab, lab.work_dir, work=True).ask(
        "config", "--local", "--null", "--get-regexp", _SETTINGS
    )
    entries = [entry.partition("\n")[::2] for entry in told.text.split("\0")]
    values = dict(entries)
    hook = hook_of(lab.work_dir)
    login = ("credential.helper", login_helper(lab.login_file(lab.learner_id)))
    has = {"hooks": commit_hook(hook) is not CommitHook.MISSING, "login": login in entries}
    return LearnersClone(
        tuple(name for name, is_there in has.items() if not is_there),
        Origin(values.get("remote.origin.url", ""), values.get("http.sslcainfo", "")),
        "" if is_the_learners(hook) else _text(hook),
    )


def commit_hook(hook: Path) -> CommitHook:
    """Return what Git would run before a commit if it looks for its hook at a path."""
    if os.access(hook, os.X_OK) and _RUNS_PRE_COMMIT.search(_text(hook)):
        return CommitHook.CHECKS
    return CommitHook.OTHER if is_the_learners(hook) else CommitHook.MISSING


def is_the_learners(hook: Path) -> bool:
    """Return whether a hook is there that sops-lab did not install, and which has to stay."""
    return os.path.lexists(hook) and _OURS not in _text(hook)


def _text(hook: Path) -> str:
    return (read(hook) or b"").decode("utf-8", "replace")
