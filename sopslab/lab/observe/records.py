"""What the platform repository has on record: of what is pushed."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.git import Git

_PUSHED = "refs/remotes/origin/main"


def recorded_documents(lab: Lab, folder: str) -> dict[str, str]:
    """Return path and text of the files below a folder of the platform repository."""
    if not Path(lab.platform_dir, ".git").is_dir():
        return {}
    git = Git(lab, lab.platform_dir, work=True)
    commit = git.commit(_PUSHED)
    if commit is None:
        return {}
    return {path: content.decode() for path, content in git.files(commit, folder).items()}
