"""The role in docs/clusters.md, for whoever runs `up` in an existing cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from sopslab.layout import PROJECT
from sopslab.model.clusters import CLASS_RIGHTS, RIGHTS, Right

PAGE = PROJECT / "docs" / "clusters.md"


def roles() -> Iterator[dict[str, Any]]:
    for shown in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S):
        if (found := yaml.safe_load(shown)).get("kind") == "ClusterRole":
            yield found


def allows(rule: dict[str, list[str]], right: Right) -> bool:
    """Return whether a rule gives a right, as RBAC reads it: a ClusterRole that is bound in the
    whole cluster counts in every namespace."""
    asked = {"apiGroups": right.group, "resources": right.resource, "verbs": right.verb}
    return all({"*", one} & set(rule[field]) for field, one in asked.items())


def test_the_role_that_is_shown_is_enough_for_all_that_a_cluster_is_asked() -> None:
    (role,) = roles()
    lacking = [
        one
        for one in (*RIGHTS, *CLASS_RIGHTS)
        if not any(allows(rule, one) for rule in role["rules"])
    ]
    assert lacking == []
