"""The learner's clone on the lab's machine."""

from __future__ import annotations

import os
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.files import read
from sopslab.lab.tools.git import Git, login_helper
from sopslab.model.repositories import LearnersClone, Origin

_SETTINGS = r"^(remote\.origin\.url|http\.sslcainfo|credential\.helper)$"
# A line that the hook of every version contains.
_OURS = "# Installed by sops-lab."


def clone_of_learner(lab: Lab) -> LearnersClone:
    """Return what the clone lacks, where it came from, and its hook if sops-lab installed it."""
    repository = Path(lab.work_dir, ".git")
    if not repository.is_dir():
        return LearnersClone()
    told = Git(lab, lab.work_dir, work=True).ask(
        "config", "--local", "--null", "--get-regexp", _SETTINGS
    )
    entries = [entry.partition("\n")[::2] for entry in told.text.split("\0")]
    values = dict(entries)
    hook = repository / "hooks" / "pre-commit"
    login = ("credential.helper", login_helper(lab.login_file(lab.learner_id)))
    has = {"hooks": os.access(hook, os.X_OK), "login": login in entries}
    return LearnersClone(
        tuple(name for name, is_there in has.items() if not is_there),
        Origin(values.get("remote.origin.url", ""), values.get("http.sslcainfo", "")),
        text if _OURS in (text := (read(hook) or b"").decode("utf-8", "replace")) else "",
    )
