"""The project's own modules, as tests read them."""

from __future__ import annotations

import ast
import functools
from pathlib import Path


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a module. Each is parsed once in a process, because parsing all
    modules of the project takes two seconds."""
    return ast.parse(path.read_text())
