"""The clone of the learner who is here."""

from __future__ import annotations

import os
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.git import Git
from sopslab.model.learners_clone import LearnersClone, Origin

# In the second line of every commit hook that a lab has installed.
_OURS = "# Installed by sops-lab."


def clone_of_learner(lab: Lab, hook: str) -> LearnersClone:
    """Return what the clone lacks, and where it came from.

    + hook: the text of the commit hook; one of the learner's own is as good
    """
    repository = Path(lab.work_dir, ".git")
    if not repository.is_dir():
        return LearnersClone()
    told = Git(lab, lab.work_dir, work=True).ask(
        "config", "--local", "--null", "--get-regexp", r"^(remote\.origin\.url|http\.sslcainfo)$"
    )
    values = dict(entry.partition("\n")[::2] for entry in told.text.split("\0"))
    return LearnersClone(
        () if _hooked(repository / "hooks" / "pre-commit", hook) else ("hooks",),
        Origin(values.get("remote.origin.url", ""), values.get("http.sslcainfo", "")),
    )


def _hooked(file: Path, hook: str) -> bool:
    if not os.access(file, os.X_OK):
        return False
    text = file.read_text(encoding="utf-8", errors="replace")
    # One of ours calls programs where another sops-lab was installed, or is from another version.
    return text == hook or _OURS not in text
