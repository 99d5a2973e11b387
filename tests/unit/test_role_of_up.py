"""The roles in docs/clusters.md, for the user who runs `up` in an existing cluster."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import yaml

from sopslab.checks.rights import lacking
from sopslab.layout import PLATFORM
from sopslab.model.rights import CLASS_RIGHTS, GIT_RIGHTS, RIGHTS, Right
from tests.rights import roles

SHOWN = list(zip(roles(), (RIGHTS, CLASS_RIGHTS, GIT_RIGHTS), strict=True))


def given(role: dict[str, Any]) -> set[Right]:
    """Return each right that a role gives."""
    return {
        Right(verb, group, resource, name)
        for rule in role["rules"]
        for verb, group, resource, name in itertools.product(
            rule["verbs"], rule["apiGroups"], rule["resources"], rule.get("resourceNames", [""])
        )
    }


@pytest.mark.parametrize(("role", "rights"), SHOWN, ids=["any", "class", "git"])
def test_a_role_that_is_shown_gives_what_is_asked_for_and_no_more(
    role: dict[str, Any], rights: tuple[Right, ...]
) -> None:
    assert lacking(rights, role["rules"]) == []
    assert given(role) == set(rights)


# What controllers make of what a learner makes.
MADE = {"endpoints", "endpointslices", "replicasets", "controllerrevisions"}


def test_nothing_is_removed_that_nobody_in_a_seat_can_make() -> None:
    text = (PLATFORM / "clusters" / "lab" / "classroom" / "roles.yaml").read_text()
    made = {
        right.resource
        for role in yaml.safe_load_all(text)
        for right in given(role)
        if right.verb == "create"
    }
    removed = {right.resource for right in CLASS_RIGHTS if right.verb == "patch"}
    assert removed - {"validatingadmissionpolicies", "validatingadmissionpolicybindings"} <= (
        made | MADE
    )


def test_together_they_have_no_right_twice() -> None:
    every = (*RIGHTS, *CLASS_RIGHTS, *GIT_RIGHTS)
    assert len(every) == len(set(every)) + len(set(CLASS_RIGHTS) & set(GIT_RIGHTS))
    assert not set(RIGHTS) & {*CLASS_RIGHTS, *GIT_RIGHTS}


def test_a_rule_for_one_object_gives_no_right_to_another() -> None:
    of_all = Right("approve", "certificates.k8s.io", "signers")
    of_one = Right("approve", "certificates.k8s.io", "signers", "one")
    rule = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "resourceNames": ["one"]}
    assert lacking([of_all, of_one], [rule]) == [of_all]
    assert lacking([of_one], [{**rule, "resourceNames": ["another"]}]) == [of_one]
    assert lacking([of_all, of_one], [{**rule, "resourceNames": []}]) == []
