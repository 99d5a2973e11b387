"""Facts about what a lab keeps on the host."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.config.settings import Settings
from sopslab.provision.command import script


class LabData(FactBase[bool]):
    """
    Returns whether the lab's folder exists.
    """

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script('[ ! -d "$1" ] || echo there', settings.lab_dir)

    @override
    def process(self, output: list[str]) -> bool:
        return output == ["there"]


class Leftovers(FactBase[list[str]]):
    """
    Returns the paths that a killed run was writing to, apart from the learner's and the server's
    own files.
    """

    default = list

    @override
    def command(self, settings: Settings) -> StringCommand:
        return script(
            """
            [ -d "$1" ] || exit 0
            find "$1" -maxdepth 3 \\( -path "$1/work" -o -path "$1/git/repositories" \\) -prune \\
                -o \\( -name '.new.*' -o -name '*.new' \\) -prune -print
            """,
            settings.lab_dir,
        )

    @override
    def process(self, output: list[str]) -> list[str]:
        return output
