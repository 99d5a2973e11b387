"""The versions of the lab's tools, and of the programs that a shell finds under the same names."""

from __future__ import annotations

import os
import re
import shutil
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.artifacts.versions import Versions, read_versions
from sopslab.checks.snapshot import Tool
from sopslab.lab.tools.programs import clean_environment, try_ask
from sopslab.model.store import Source

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

# Each program, its entry in the catalog, and the arguments that print its version offline.
_PROGRAMS = (
    ("sops", "sops", ("--version", "--disable-version-check")),
    ("age", "age", ("--version",)),
    ("age-keygen", "age", ("--version",)),
    ("kubectl", "kubectl", ("version", "--client")),
    ("flux", "flux", ("--version",)),
    ("kind", "kind", ("--version",)),
)
_VERSION = re.compile(rb"\bv?(\d+\.\d+\.\d+[-+.\w]*)")


def look_at_tools(settings: Settings, executor: Executor) -> list[Tool]:
    """Return the tools of the lab, each with the versions that were found."""
    pinned = read_versions(settings.catalog)
    source = _source(settings, pinned)

    def look(program: tuple[str, str, tuple[str, ...]]) -> Tool:
        name, entry, arguments = program
        own = Path(settings.bin_dir) / name
        in_path = shutil.which(name)
        first = in_path if in_path is not None and not _is_same(own, Path(in_path)) else None
        return Tool(
            name,
            pinned.version(entry, source),
            version_of([str(own), *arguments], clean_environment(settings)),
            in_path is not None,
            first,
            version_of([first, *arguments], dict(os.environ)) if first is not None else None,
        )

    return list(executor.map(look, _PROGRAMS))


def _source(settings: Settings, pinned: Versions) -> Source:
    """Return the source that the store was filled from. Before that, return any source: it serves
    to name what is missing."""
    try:
        found = (Path(settings.root) / "source").read_text(encoding="utf-8").strip()
    except OSError:
        found = ""
    sources = pinned.sources
    return next((source for source in sources if source == found), sources[0])


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def version_of(argv: list[str], environment: dict[str, str]) -> str | None:
    """Return the version that a program prints, None if it prints none."""
    answer = try_ask(argv, environment, patience=10)
    found = _VERSION.search(answer.out) if answer.code == 0 else None
    return found[1].decode("ascii", "replace") if found else None
