"""What the user of the lab's context may do in an existing cluster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sopslab.checks.rights import lacking
from sopslab.lab.tools.kubectl import Kubectl, listed, parsed
from sopslab.lab.tools.programs import Failed
from sopslab.model.objects import Object
from sopslab.model.results import Undecided
from sopslab.model.rights import Right

_GROUP = "authorization.k8s.io/v1"
# A namespace that nobody uses. A right that the user has there is granted in all namespaces.
_NOWHERE = "sops-lab-rights"
_CREATE = ("create", "--validate=false", "--request-timeout", "10s", "--filename", "-", "--output")
_PATIENCE_S = 20.0


def denied_rights(kubectl: Kubectl, rights: Sequence[Right]) -> tuple[Right, ...] | None:
    """Return which of some rights the user lacks; None if the cluster does not say."""
    try:
        rules = _rules(kubectl)
        missing = lacking(rights, [*rules.get("resourceRules", ())])
        # An authorizer may list no rules, or rules in a form of its own, such as RBAC's `*/log`.
        # Each answers about single rights.
        return _denied(kubectl, missing) if missing else ()
    except (Failed, Undecided):
        return None


def _rules(kubectl: Kubectl) -> Mapping[str, Any]:
    """Return the cluster's list of the user's rights. Raises Failed, Undecided."""
    review = {
        "apiVersion": _GROUP, "kind": "SelfSubjectRulesReview", "spec": {"namespace": _NOWHERE},
    }  # fmt: skip
    said = kubectl.run(*_CREATE, "json", stdin=json.dumps(review).encode(), patience=_PATIENCE_S)
    found: Mapping[str, Any] = parsed(said).get("status") or {}
    return found


def _denied(kubectl: Kubectl, rights: Sequence[Right]) -> tuple[Right, ...] | None:
    """Ask the cluster about each of some rights, and return those that it denies; None if it does
    not answer about all of them. Raises Failed."""
    answer = 'jsonpath={.status.allowed}{"\\n"}'
    said = kubectl.run(*_CREATE, answer, stdin=listed(map(_review, rights)), patience=60)
    answers = said.decode().split()
    if len(answers) != len(rights):
        return None
    return tuple(one for one, allowed in zip(rights, answers, strict=True) if allowed != "true")


def _review(right: Right) -> Object:
    resource, _, part = right.resource.partition("/")
    asked = {"verb": right.verb, "group": right.group, "resource": resource}
    asked |= {"subresource": part} if part else {}
    asked |= {"name": right.name} if right.name else {}
    spec = {"resourceAttributes": asked}
    return {"apiVersion": _GROUP, "kind": "SelfSubjectAccessReview", "spec": spec}
