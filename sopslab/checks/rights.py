"""Which rights follow from what a cluster says of a user: rules, as RBAC has them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sopslab.model.objects import Object
from sopslab.model.rights import Right


def lacking(rights: Iterable[Right], rules: Sequence[Object]) -> list[Right]:
    """Return the rights that no rule gives.

    + rules: those of the user in the whole cluster, as a ClusterRole or a SelfSubjectRulesReview
      has them
    """
    return [one for one in rights if not any(_gives(rule, one) for rule in rules)]


def _gives(rule: Object, right: Right) -> bool:
    asked = (("verbs", right.verb), ("apiGroups", right.group), ("resources", right.resource))
    only = rule.get("resourceNames")
    return (not only or right.name in only) and all(
        {"*", value} & set(rule.get(field) or ()) for field, value in asked
    )
