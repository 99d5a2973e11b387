"""The platform repository: a new clone of it is changed and pushed, and then takes the place of the
one before. The push is the one moment at which a change appears."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sopslab.config.places import INSTRUCTOR, Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import told
from sopslab.lab.tools import files, git
from sopslab.lab.tools.git import SOPS_LAB, Git
from sopslab.lab.tools.programs import Failed

_US = {"user.name": SOPS_LAB.name, "user.email": SOPS_LAB.email}


@contextmanager
def new_clone(lab: Lab) -> Iterator[Git]:
    """Yield a new clone, which is kept by `publish`. Raises LabError where there can be none."""
    url = f"{lab.git_base_url}/platform.git"
    login = f"{lab.account_dir(INSTRUCTOR)}/git-credentials"
    with files.new_folder(lab.platform_dir) as new:
        try:
            git.clone(lab, url, new / "copy", login, _US)
        except Failed as failure:
            raise LabError(
                f"the platform repository could not be cloned from {url}: {told(failure)}"
            ) from None
        yield Git(lab, new / "copy", work=True, login=login)


def publish(lab: Lab, clone: Git) -> None:
    """Push what a new clone has committed; it is the lab's from then on. Raises Failed."""
    clone.push("origin", "HEAD:refs/heads/main")
    clone.run("fetch", "--quiet")
    files.remove(lab.platform_dir)
    Path(clone.folder).rename(lab.platform_dir)
