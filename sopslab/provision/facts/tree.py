"""Facts about directories that the lab delivers as a whole."""

from __future__ import annotations

from pyinfra.api import FactBase, StringCommand
from typing_extensions import override

from sopslab.provision.command import script


class TreeDigest(FactBase[str | None]):
    """
    Returns the digest of all files below a directory and of which may be executed, as
    `sopslab.files.archive.digest` counts it, or None if there is no such directory.
    """

    @override
    def command(self, path: str) -> StringCommand:
        return script(
            """
            [ -d "$1" ] || exit 0
            cd "$1"
            {
                find . -type f -print0 | LC_ALL=C sort -z | xargs -0r sha256sum
                find . -type f -perm -u=x | LC_ALL=C sort
            } | sha256sum | cut -c1-64
            """,
            path,
        )

    @override
    def process(self, output: list[str]) -> str | None:
        return output[0] if output else None


class AnyFolder(FactBase[bool]):
    """
    Returns whether any of `paths` is a directory.
    """

    @staticmethod
    @override
    def default() -> bool:
        return False

    @override
    def command(self, paths: list[str]) -> StringCommand:
        # What a link leads to counts as well.
        return script(
            "find -L \"$@\" -maxdepth 0 -type d -printf 'there\\n' 2>/dev/null || true", *paths
        )

    @override
    def process(self, output: list[str]) -> bool:
        return "there" in output
