"""The list of the files in a folder that Flux applies, which learners edit. Pure."""

from __future__ import annotations

from functools import lru_cache

import yaml

from sopslab.model.yaml_loader import LOADER


@lru_cache
def read_list(kustomization: str | bytes) -> tuple[str, ...] | None:
    """Return the resources of a kustomization, None if it cannot be read."""
    try:
        parsed = yaml.load(kustomization, LOADER)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None
    if not isinstance(parsed, dict):
        return None
    resources = parsed.get("resources") or []
    if not isinstance(resources, list):
        return None
    return tuple(one.removeprefix("./") for one in resources if isinstance(one, str))


def how_to_list(kustomization: str, name: str) -> str:
    """Return in words what to edit in a kustomization so that it lists a file."""
    for number, line in enumerate(kustomization.splitlines(), 1):
        if line.lstrip().startswith("#") and line.lstrip("# \t-").strip() == name:
            return f"uncomment line {number}"
    return f"add `- {name}` under resources"
