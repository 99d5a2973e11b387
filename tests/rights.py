"""The roles that docs/clusters.md shows."""

from __future__ import annotations

import re
from typing import Any

import yaml

from sopslab.layout import PROJECT


def roles() -> list[dict[str, Any]]:
    """Return the ClusterRoles for the user who runs `up`, in the order of the page."""
    page = (PROJECT / "docs" / "clusters.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    found = [one for block in blocks for one in yaml.safe_load_all(block)]
    return [one for one in found if one.get("kind") == "ClusterRole"]
