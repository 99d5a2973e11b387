"""The clone of the learner who is here."""

from __future__ import annotations

import os
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.git import Git
from sopslab.model.learners_clone import LearnersClone, Origin


def clone_of_learner(lab: Lab) -> LearnersClone:
    """Return what the clone lacks, and where it came from."""
    repository = Path(lab.work_dir, ".git")
    if not repository.is_dir():
        return LearnersClone()
    told = Git(lab, lab.work_dir, work=True).ask(
        "config", "--local", "--null", "--get-regexp", r"^(remote\.origin\.url|http\.sslcainfo)$"
    )
    values = dict(entry.partition("\n")[::2] for entry in told.text.split("\0"))
    hooked = os.access(repository / "hooks" / "pre-commit", os.X_OK)
    return LearnersClone(
        () if hooked else ("hooks",),
        Origin(values.get("remote.origin.url", ""), values.get("http.sslcainfo", "")),
    )
