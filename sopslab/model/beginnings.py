"""How a learner's repository begins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Beginning:
    """The first commit of a learner's repository, before the canary is in it.

    `commit` is for `git fast-import`, to which files may be added. `rules` is its `.sops.yaml`, by
    which the canary is encrypted.
    """

    commit: str
    rules: str
