"""What the platform repository has on record, and what it was laid out from, as it was pushed."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.tools.git import Git

_PUSHED = "refs/remotes/origin/main"
_NOTE = "Sops-lab-content"


def content_mark(lab: Lab) -> str | None:
    """Return the mark of what the platform repository was laid out from last, as its commit says
    after `Sops-lab-content:`.

    None where the lab's clone has anything that its origin lacks, where anything but records below
    `docs` has changed since that commit, and where the manifests that were made then are not there.
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
    """Return path and text of the files below a folder of the platform repository."""
    if not Path(lab.platform_dir, ".git").is_dir():
        return {}
    git = Git(lab, lab.platform_dir, work=True)
    commit = git.commit(_PUSHED)
    if commit is None:
        return {}
    return {path: content.decode() for path, content in git.files(commit, folder).items()}
