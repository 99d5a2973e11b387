"""Lay out the Git server in the cluster, wait for it, and take it away; its repositories stay,
unless they are purged."""

from __future__ import annotations

import time

from sopslab.checks.git_pod import is_outdated
from sopslab.config.naming import git_namespace
from sopslab.config.places import GIT_SERVER_PORT, Lab
from sopslab.errors import LabError
from sopslab.lab.observe.git_pod import SILENT, manifests, server_trouble, way_to_server
from sopslab.lab.observe.server import answer
from sopslab.lab.tools import files
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.lab.tools.waiting import Deadline, wait_until
from sopslab.model.git_pod import LABEL, NAME, POD, PodShape
from sopslab.model.results import Undecided

# The pod's node has to pull the image, and to be given a volume.
_READY_S, _ANSWERS_S = 240, 60
# The server comes last: as long as it is there, `down` has not ended.
_KINDS = "networkpolicies,services,configmaps,secrets,serviceaccounts,statefulsets"


def lay_out(lab: Lab, shape: PodShape) -> None:
    """Write the manifests of the Git server, with its certificate and the hashes of the passwords.
    Raises LabError if those are not there."""
    wanted = manifests(lab, shape)
    if wanted is None:
        raise LabError(f"what the Git server reads is not in {lab.git_dir}: run `sopslab up` again")
    files.write(lab.git_manifests, wanted)


def await_server(lab: Lab) -> None:
    """Wait until the Git server answers where learners reach it. Raises LabError with what keeps it
    from that if it does not answer in time, and Undecided where the cluster does not say."""
    kubectl, namespace = Kubectl(lab), git_namespace(lab.lab)
    deadline = Deadline(_READY_S)
    while (trouble := server_trouble(lab)) not in (None, SILENT):
        if deadline.is_over:
            raise LabError(
                f"the pod of the Git server is not ready after {_READY_S} s: {trouble}. `kubectl"
                f" --namespace {namespace} describe pod {POD}` says more"
            )
        _replace(kubectl, namespace)
        time.sleep(1)
    url = f"{lab.git_base_url}/"
    if not wait_until(lambda: answer(lab, url) is not None, _ANSWERS_S):
        raise LabError(
            f"the Git server runs in the cluster, and nothing answers for it at {lab.git_base_url}:"
            f" have that lead to port {GIT_SERVER_PORT} of the Service {NAME} in {namespace}, with"
            " TLS passed on as it is, or correct `git_in_cluster`"
        )


def _replace(kubectl: Kubectl, namespace: str) -> None:
    """Delete the server's pod if it is not ready and of an older revision than what is wanted
    now."""
    try:
        pod = kubectl.get("pod", POD, namespace, patience=20)
        wanted = kubectl.get("statefulset", NAME, namespace, patience=20)
    except Undecided:
        return
    if pod is not None and wanted is not None and is_outdated(pod, wanted):
        kubectl.succeeds("--namespace", namespace, "delete", "pod", POD, "--wait=false")


def take_away(lab: Lab, kubeconfig: str, purge: bool) -> None:
    """Remove the Git server from the cluster; its repositories stay, unless they are purged. Raises
    Failed, and LabError where no cluster is known.

    + kubeconfig: the user's file
    """
    kubectl, namespace = way_to_server(lab, kubeconfig), git_namespace(lab.lab)
    if kubectl is None:
        raise LabError("there is no kubeconfig for the cluster of the Git server")
    bounded = ("--ignore-not-found", "--timeout", "90s")
    if purge:
        kubectl.run("delete", "namespace", namespace, *bounded, patience=120)
        return
    chosen = ("--namespace", namespace, "--selector", f"{LABEL}={lab.lab}")
    kubectl.run("delete", _KINDS, *chosen, *bounded, patience=120)
