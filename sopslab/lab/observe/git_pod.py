"""The Git server in the cluster: whether it is this lab's, and whether it serves."""

from __future__ import annotations

import json
from pathlib import Path

import yaml

from sopslab.checks.git_pod import (
    SECRET_FILES,
    hindrance,
    is_rolled_out,
    objects,
    other_claim,
)
from sopslab.config.naming import git_namespace
from sopslab.config.places import Lab
from sopslab.lab.observe.ownership import owner_by, owner_labels
from sopslab.lab.observe.server import answer
from sopslab.lab.tools.files import has_content, read
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.git_pod import CLAIM, LABEL, NAME, POD, GitServerLeft, PodShape, PodState
from sopslab.model.results import Undecided

NOT_THERE = "it is not there"
SILENT = "nothing answers for it where learners reach it"
_PATIENCE_S = 20.0


def pod_state(lab: Lab, shape: PodShape) -> PodState:
    """Return the state of the Git server in the cluster, compared with what the lab file wants.
    Raises LabError if the lab's id is damaged, and Undecided if the cluster cannot be asked.

    + shape: what the lab file wants
    """
    if not has_content(lab.lab_kubeconfig):
        return PodState()
    kubectl, name = Kubectl(lab), git_namespace(lab.lab)
    namespace = kubectl.get("namespace", name, patience=_PATIENCE_S)
    if namespace is not None and not owner_by(lab, kubectl).has(namespace, LABEL):
        return PodState(foreign=True)
    wanted = manifests(lab, shape)
    if wanted is not None and read(lab.git_manifests) == wanted:
        return PodState(laid_out=True)
    there = namespace and kubectl.get("statefulset", NAME, name, patience=_PATIENCE_S)
    return PodState(
        other_claim=other_claim(there, shape.storage_class, shape.size) if there else ""
    )


def manifests(lab: Lab, shape: PodShape) -> bytes | None:
    """Return the manifests of the Git server; None as long as a file that goes into them is not on
    this machine."""
    data = Path(lab.git_dir)
    secrets = {key: read(data / path) for key, path in SECRET_FILES.items()}
    given = {key: content for key, content in secrets.items() if content}
    etc = {
        str(path.relative_to(data / "etc")): path
        for path in sorted((data / "etc").rglob("*"))
        if path.is_file()
    }
    if not etc or len(given) != len(secrets):
        return None
    made = objects(
        lab.lab,
        owner_labels(lab, LABEL),
        shape,
        configuration={name: path.read_text() for name, path in etc.items()},
        executable=[name for name, path in etc.items() if path.stat().st_mode & 0o111],
        recipients={
            path.name: path.read_text() for path in sorted((data / "recipients").glob("[!.]*"))
        },
        secrets=given,
    )
    # The way through JSON copies shared values, so that YAML writes no anchors and aliases.
    plain = json.loads(json.dumps(made))
    return yaml.dump_all(plain, Dumper=_Dumper, sort_keys=False, encoding="utf-8")


class _Dumper(yaml.SafeDumper):
    """A SafeDumper that writes every text in quotes: to kubectl, some texts are numbers that are
    none to PyYAML, such as `1e3`."""


def _quoted(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"')


_Dumper.add_representer(str, _quoted)


def server_trouble(lab: Lab) -> str | None:
    """Return in a clause why the Git server in the cluster does not serve, None if it does. Raises
    Undecided if the cluster cannot be asked."""
    if not has_content(lab.lab_kubeconfig):
        return NOT_THERE
    kubectl, namespace = Kubectl(lab), git_namespace(lab.lab)
    found = kubectl.get("statefulset", NAME, namespace, patience=_PATIENCE_S)
    if found is None:
        return NOT_THERE
    if not is_rolled_out(found):
        pod = kubectl.get("pod", POD, namespace, patience=_PATIENCE_S)
        claim = kubectl.get("persistentvolumeclaim", CLAIM, namespace, patience=_PATIENCE_S)
        return hindrance(pod, claim)
    if answer(lab, f"{lab.git_base_url}/") is None:
        return SILENT
    return None


def way_to_server(lab: Lab, kubeconfig: str) -> Kubectl | None:
    """Return a kubectl for the cluster that has the lab's Git server, whether the lab is up or
    down; None if there is no kubeconfig for it.

    + kubeconfig: the user's file, used once `down` has removed the lab's own
    """
    if has_content(lab.lab_kubeconfig):
        return Kubectl(lab)
    return Kubectl(lab, kubeconfig=kubeconfig) if has_content(kubeconfig) else None


def has_own_namespace(lab: Lab, kubectl: Kubectl) -> bool:
    """Return whether the cluster has the namespace of the Git server, and it is this lab's. Raises
    LabError if the lab's id is damaged, and Undecided if the cluster cannot be asked."""
    there = kubectl.get("namespace", git_namespace(lab.lab), patience=_PATIENCE_S)
    return there is not None and owner_by(lab, kubectl).has(there, LABEL)


def git_server_in(lab: Lab, kubeconfig: str) -> GitServerLeft | None:
    """Return what the cluster has of the lab's Git server; None if the cluster cannot be asked. A
    lab that never had its Git server in a cluster does not ask.

    + kubeconfig: the user's file
    """
    if lab.git_pod is None and not has_content(lab.git_manifests):
        return GitServerLeft()
    kubectl, namespace = way_to_server(lab, kubeconfig), git_namespace(lab.lab)
    if kubectl is None:
        return None
    try:
        if not has_own_namespace(lab, kubectl):
            return GitServerLeft()
        served = kubectl.get("statefulset", NAME, namespace, patience=_PATIENCE_S)
    except Undecided:
        return None
    return GitServerLeft(namespace=True, server=served is not None)
