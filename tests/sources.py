"""The project's own modules, as tests read them."""

from __future__ import annotations

import ast
import functools
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sopslab.layout import PROJECT


@functools.cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax tree of a module. Each is parsed once in a process, because parsing all
    modules of the project takes two seconds."""
    return ast.parse(path.read_text())


def operations() -> dict[str, Callable[..., Any]]:
    """Return what pyinfra runs for each operation of the project, by `<module>.<operation>`."""
    found = {}
    for path in sorted((PROJECT / "sopslab" / "provision" / "operations").glob("*.py")):
        module = importlib.import_module(f"sopslab.provision.operations.{path.stem}")
        for name, value in vars(module).items():
            inner = getattr(value, "_inner", None)
            if inner is not None and inner.__module__ == module.__name__:
                found[f"{path.stem}.{name}"] = inner
    return found
