"""What `group_data/all.py` says about each setting, besides its default."""

from __future__ import annotations

import ast

from sopslab.layout import PROJECT

DEFAULTS = PROJECT / "group_data" / "all.py"


def explained() -> tuple[dict[str, str], dict[str, str]]:
    """Return what the comment above each default says, and which environment variable overrides
    it."""
    text = DEFAULTS.read_text(encoding="utf-8")
    lines = text.splitlines()
    comments, variables = {}, {}
    for node in ast.parse(text).body:
        if not isinstance(node, ast.Assign):
            continue
        name = ast.unparse(node.targets[0])
        first = node.lineno - 1
        while lines[first - 1].startswith("# "):
            first -= 1
        comments[name] = " ".join(line[2:] for line in lines[first : node.lineno - 1])
        for part in ast.walk(node.value):
            match part:
                case ast.Constant(value=str(word)) if word.startswith("SOPSLAB_"):
                    variables[name] = word
    return comments, variables
