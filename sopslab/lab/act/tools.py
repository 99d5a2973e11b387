"""The lab's tools where they are looked for: links in its bin folder."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab


def link(lab: Lab, links: dict[str, str]) -> None:
    """Make links in the bin folder, each in one step: a tool is there all the time.

    + links: where each leads
    """
    folder = Path(lab.bin_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        new = folder / f".{name}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.rename(folder / name)
