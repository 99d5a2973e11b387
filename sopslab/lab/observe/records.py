"""The records in the platform repository, and the mark of the content it was made from, as
pushed."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.git import Git

_PUSHED = "refs/remotes/origin/main"
_NOTE = "Sops-lab-content"


def content_mark(lab: Lab) -> str | None:
    """Return the mark of the content that the platform repository was last made from. It is in the
    message of that commit, after `Sops-lab-content:`.

    Return None if HEAD of the lab's clone is not the pushed main, if anything except the records
    below `docs` has changed since that commit, or if the folder of manifests is missing.
    """
    folder = Path(lab.platform_dir)
    if not (folder / ".git").is_dir() or not Path(lab.manifests_dir).is_dir():
        return None
    git = Git(lab, folder, work=True)
    head = git.commit("HEAD")
    if head is None or head != git.commit(_PUSHED):
        return None
    noted = git.ask(
        "log", "-1", "--grep", f"^{_NOTE}: ", f"--format=%H %(trailers:key={_NOTE},valueonly)"
    )
    commit, _, mark = noted.text.partition(" ")
    if not commit or git.ask("diff", "--quiet", commit, "HEAD", "--", ".", ":(exclude)docs").code:
        return None
    return mark.strip() or None


def recorded_documents(lab: Lab, folder: str) -> dict[str, str]:
    """Return the texts of the pushed files below a folder of the platform repository, by path.
    Bytes that are not UTF-8 are replaced."""
    if not Path(lab.platform_dir, ".git").is_dir():
        return {}
    git = Git(lab, lab.platform_dir, work=True)
    commit = git.commit(_PUSHED)
    if commit is None:
        return {}
    files = git.files(commit, folder)
    return {path: content.decode("utf-8", "replace") for path, content in files.items()}
