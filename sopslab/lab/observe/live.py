"""Whether the cluster has the values of the files that a rotation has encrypted again.

Decrypted files and the values of the cluster exist in this process only. No result holds a value.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sopslab.checks.rotation import compare, consumers
from sopslab.config.environment import Environment, bare_repository
from sopslab.config.places import Lab
from sopslab.lab.observe.keys import key_file
from sopslab.lab.observe.objects import listed_in, permitted_in
from sopslab.lab.observe.scopes import scopes_of
from sopslab.lab.tools import sops
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.git import MAIN, Git
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.objects import Object
from sopslab.model.rotation import Delivered, LiveValue

# Whoever runs `up` may list Deployments, and may lack the right to list what not every learner can
# make.
_OFTEN, _RARELY = "deployments", ("statefulsets", "daemonsets")


def live_values(
    lab: Lab, environments: list[Environment], files: dict[str, list[Delivered]]
) -> dict[str, dict[str, LiveValue]]:
    """Return whether the cluster has the values of files on main, by learner and path. A file that
    cannot be decrypted is left out. Raises Undecided if the cluster does not show its Secrets.

    + files: the files to compare, by the learner's id
    """
    secrets = _secrets(lab, [one.namespace for one in environments if files.get(one.id)])
    found: dict[str, dict[str, LiveValue]] = {}
    for one in environments:
        git = Git(lab, bare_repository(lab, one))
        for file in files.get(one.id, []):
            opened = _opened(lab, git, file)
            if opened is not None:
                compared = compare(opened, secrets.get((one.namespace, file.secret)))
                found.setdefault(one.id, {})[file.path] = compared
    return found


def _secrets(lab: Lab, namespaces: list[str]) -> Mapping[tuple[str, str], Mapping[str, str]]:
    """Return the data of the Secrets in namespaces, by namespace and name; none as long as there is
    no cluster. Raises Undecided."""
    if not has_content(lab.lab_kubeconfig):
        return {}
    kubectl = Kubectl(lab)
    found = listed_in(kubectl, "secrets", scopes_of(lab, kubectl, namespaces))
    return {
        (one["metadata"]["namespace"], one["metadata"]["name"]): one.get("data") or {}
        for one in found
    }


def _opened(lab: Lab, git: Git, file: Delivered) -> Mapping[str, Any] | None:
    encrypted = git.blob(MAIN, file.path)
    if encrypted is None:
        return None
    identity = key_file(lab, file.key)
    answer = sops.decrypt(lab, identity, encrypted, "--output-type", "json")
    if answer.code:
        return None
    opened = json.loads(answer.out)
    return opened if isinstance(opened, dict) else None


def old_consumers(
    lab: Lab, environments: list[Environment], incident: str, secrets: dict[str, list[str]]
) -> dict[str, list[str]]:
    """Return, by the learner's id, the workloads that read one of the Secrets at their start, and
    have not been restarted for the incident. Raises Undecided if the cluster does not show its
    workloads.

    + secrets: the Secrets whose values have changed, by the learner's id
    """
    workloads = _workloads(lab, [one.namespace for one in environments if secrets.get(one.id)])
    found = {}
    for one in environments:
        own = [each for each in workloads if each["metadata"]["namespace"] == one.namespace]
        found[one.id] = consumers(own, incident, secrets.get(one.id, []))
    return {learner: names for learner, names in found.items() if names}


def _workloads(lab: Lab, namespaces: list[str]) -> list[Object]:
    """Return the workloads in namespaces that the user may list; none as long as there is no
    cluster. Raises Undecided."""
    if not has_content(lab.lab_kubeconfig):
        return []
    kubectl = Kubectl(lab)
    scopes = scopes_of(lab, kubectl, namespaces)
    found = listed_in(kubectl, _OFTEN, scopes)
    for kind in _RARELY:
        found += permitted_in(kubectl, kind, scopes)
    return found
