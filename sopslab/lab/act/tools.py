"""Links to the lab's tools in its bin folder, where they are looked for."""

from __future__ import annotations

from pathlib import Path

from sopslab.config.places import Lab


def link(lab: Lab, links: dict[str, str]) -> None:
    """Make links in the bin folder, each in one step, so that no tool is missing at any time.

    + links: the target of each link, by its name
    """
    folder = Path(lab.bin_dir)
    folder.mkdir(parents=True, exist_ok=True)
    for name, target in links.items():
        new = folder / f".{name}.new"
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.rename(folder / name)
