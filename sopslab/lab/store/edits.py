"""Modules with texts of ours in place of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sopslab.errors import LabError
from sopslab.lab.store.go import Go
from sopslab.lab.store.trees import copy_tree
from sopslab.model.recipes import Edit


def edit(go: Go, module: Path, edits: Sequence[Edit]) -> None:
    """Have a module of ours built from others with these edits."""
    for one in edits:
        copy = module.with_name("edited") / one.module
        if not copy.exists():
            # What is required indirectly only has no package that could be asked for.
            go.run(
                module, "mod", "download", one.module,
                otherwise=f"the Go module {one.module} could not be had",
            )  # fmt: skip
            copy_tree(Path(go.run(module, "list", "-m", "-f", "{{.Dir}}", one.module)), copy)
            go.run(module, "mod", "edit", "-replace", f"{one.module}={copy}")
        replace_text(copy / one.file, f"{one.module}/{one.file}", one.text, one.becomes)


def replace_text(file: Path, name: str, text: str, becomes: str) -> None:
    """Replace a text that a file has exactly once. Raises LabError where it has not: with another
    version of the module, somebody has to look again.

    + name: what the file is called
    """
    if not file.is_file():
        raise LabError(f"{name} is not there, where a text has to be replaced")
    content = file.read_text(encoding="utf-8")
    if content.count(text) != 1:
        raise LabError(
            f"{name} does not have the text that has to be replaced exactly once: {text}"
        )
    file.write_text(content.replace(text, becomes), encoding="utf-8")
