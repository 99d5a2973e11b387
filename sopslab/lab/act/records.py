"""The platform repository's records of incidents and credentials."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.act import platform
from sopslab.lab.tools import files


def record(lab: Lab, records: dict[str, str], gone: list[str]) -> None:
    """Commit records to the platform repository, and push them.

    + records: the text of each record, by its path
    + gone: the paths of records to remove; Git's history keeps them
    """
    with platform.cloned(lab) as clone:
        if gone:
            clone.run("rm", "--quiet", "--ignore-unmatch", "--", *gone)
        for path, text in records.items():
            (clone.folder / path).parent.mkdir(parents=True, exist_ok=True)
            files.write(clone.folder / path, text, 0o644)
        clone.run("add", "--all")
        changed = clone.text("diff", "--cached", "--name-only").splitlines()
        if changed:
            clone.run("commit", "--quiet", "--message", f"Record {' '.join(changed)}")
        platform.push(clone)
        platform.replace(clone.folder, lab.platform_dir)
