"""Which rights a user has, from the cluster's rules in the form of RBAC. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sopslab.model.objects import Object
from sopslab.model.rights import Right


def lacking(rights: Iterable[Right], rules: Sequence[Object]) -> list[Right]:
    """Return the rights that no rule gives by name or with `*`. The cluster may know more forms.

    + rules: the user's rules for the whole cluster, in the form of a ClusterRole or of a
        SelfSubjectRulesReview
    """
    return [one for one in rights if not any(_gives(rule, one) for rule in rules)]


def _gives(rule: Object, right: Right) -> bool:
    asked = (("verbs", right.verb), ("apiGroups", right.group), ("resources", right.resource))
    only = rule.get("resourceNames")
    return (not only or right.name in only) and all(
        {"*", value} & set(rule.get(field) or ()) for field, value in asked
    )
