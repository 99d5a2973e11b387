"""The lab's kind cluster: made, started, and closed to those who have no credentials for it."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from sopslab.checks.recreation import RECREATE
from sopslab.config.naming import network_name, node_name
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.act.failures import told
from sopslab.lab.observe.applied import records
from sopslab.lab.observe.kind import (
    LOCK_S,
    bootstrap_tokens,
    lock_file,
    node_label,
    strange_bindings,
)
from sopslab.lab.tools.docker import ask_docker, docker, labelled_containers
from sopslab.lab.tools.files import write
from sopslab.lab.tools.kubectl import Kubectl, listed
from sopslab.lab.tools.locks import go_on_alone, locked
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed, lab_environment, run
from sopslab.lab.tools.waiting import wait_until
from sopslab.model.objects import Object
from sopslab.model.results import Undecided

_BUSY = "another run has been working on the cluster for 300 s: wait for it to finish"
# In the order in which they appear.
_MADE = ("kubeconfig", "node-id")
_RBAC = "rbac.authorization.k8s.io"
_CREATE_S = 300
_START_S = 120


def create(lab: Lab, image: str, config: str) -> None:
    """Make the cluster anew.

    + image: that of the node
    + config: the configuration that kind reads
    """
    with locked(lock_file(lab), LOCK_S, _BUSY) as lock:
        _create(lab, image, config, lock)


def begin(lab: Lab, image: str, config: str) -> None:
    """Begin to make the cluster anew, and leave it to a process that holds the lock until that is
    done: whoever looks at the cluster waits."""
    with locked(lock_file(lab), LOCK_S, _BUSY) as lock:
        go_on_alone(lambda: _create(lab, image, config, lock))


def _create(lab: Lab, image: str, config: str, lock: int) -> None:
    """Make the cluster. Its kubeconfig and the node's id appear together and last: where they are,
    the cluster is complete, and strangers are shut out."""
    os.umask(0o077)
    folder = Path(lab.lab_dir)
    _sweep(lab)
    with tempfile.TemporaryDirectory(prefix=".kind.", dir=folder) as new:
        Path(new, "config.yaml").write_text(config)
        _take_away(lab, lock)
        try:
            run(
                # `timeout` ends it in time, and puts it out of reach of a signal to the run.
                [
                    "timeout", str(_CREATE_S), "kind", "create", "cluster", "--quiet",
                    "--name", lab.lab, "--image", image,
                    "--config", f"{new}/config.yaml", "--kubeconfig", f"{new}/kubeconfig",
                ],
                {
                    **lab_environment(lab),
                    "KIND_EXPERIMENTAL_DOCKER_NETWORK": network_name(lab.lab),
                },
                patience=_CREATE_S + 30, inherited=lock,
            )  # fmt: skip
        except Failed as failure:
            raise LabError(
                f"kind could not create the cluster {lab.lab}: {told(failure)}"
            ) from None
        kubeconfig = Path(new, "kubeconfig")
        kubeconfig.write_bytes(_reaching(lab, kubeconfig.read_bytes()))
        node = docker("container", "inspect", "--format", "{{.Id}}", node_name(lab.lab))
        write(f"{new}/node-id", f"{node}\n")
        kube = Kubectl(lab, kubeconfig=f"{new}/kubeconfig")
        try:
            kube.apply(_bindings())
            shut_out(kube)
        except (Failed, Undecided) as error:
            if isinstance(error, Failed):
                log(error.words)
            raise LabError(
                f"the new cluster {lab.lab} could not be closed to strangers: run this again"
            ) from None
        for made in _MADE:
            Path(new, made).rename(folder / made)


def _bindings() -> list[Object]:
    """Return what the cluster needs of the phase in which kubeadm makes a token for other nodes:
    whom the kubelet obeys, and that it is given its next certificate."""
    rotation = "system:certificates.k8s.io:certificatesigningrequests:selfnodeclient"
    return [
        _binding("apiserver-kubelet-client", "system:kubelet-api-admin",
                 "User", "kube-apiserver-kubelet-client"),
        _binding("node-autoapprove-certificate-rotation", rotation, "Group", "system:nodes"),
    ]  # fmt: skip


def _binding(name: str, role: str, kind: str, subject: str) -> Object:
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": f"kubeadm:{name}"},
        "roleRef": {"apiGroup": _RBAC, "kind": "ClusterRole", "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": kind, "name": subject}],
    }


def delete(lab: Lab) -> None:
    """Delete the cluster, if there is one."""
    with locked(lock_file(lab), LOCK_S, _BUSY) as lock:
        _take_away(lab, lock)
        _sweep(lab)


def _take_away(lab: Lab, lock: int) -> None:
    nodes = labelled_containers(node_label(lab))
    if nodes:
        docker("rm", "-fv", *nodes, inherited=lock)
    for made in _MADE:
        Path(lab.lab_dir, made).unlink(missing_ok=True)
    shutil.rmtree(records(lab), ignore_errors=True)


def _sweep(lab: Lab) -> None:
    """Remove what a killed run has left."""
    for left in Path(lab.lab_dir).glob(".kind.*"):
        shutil.rmtree(left, ignore_errors=True)


def lead_to_node(lab: Lab) -> None:
    """Make the lab's kubeconfig lead to the node. The port of its API server is fixed for the life
    of the container, and its certificates are inside: so the node has to run."""
    node = node_name(lab.lab)
    if ask_docker("unpause", node).code:
        docker("start", node)
    said = run(["kind", "get", "kubeconfig", "--name", lab.lab], lab_environment(lab), patience=60)
    write(lab.lab_kubeconfig, _reaching(lab, said))


def _reaching(lab: Lab, kubeconfig: bytes) -> bytes:
    """Return kind's kubeconfig so that it leads to the machine of the node: kind writes the address
    at which the API server is published."""
    if lab.engine_host is None:
        return kubeconfig
    published, reached = (f"https://{host}:" for host in (lab.api_address, lab.engine_host))
    return kubeconfig.replace(published.encode(), reached.encode())


def start(lab: Lab) -> None:
    """Start the node, and wait until its API server answers. Raises LabError if it does not."""
    node = node_name(lab.lab)
    status = docker("container", "inspect", "--format", "{{.State.Status}}", node)
    docker("unpause" if status == "paused" else "start", node)
    kube = Kubectl(lab)
    ready = ("get", "--raw", "/readyz", "--request-timeout", "3s")
    if not wait_until(lambda: kube.succeeds(*ready, patience=10), _START_S):
        raise LabError(
            f"the API server of {node} did not answer within {_START_S} s after the start; look"
            f" at: docker logs {node}; {RECREATE}"
        )


def close(lab: Lab) -> None:
    """Remove from the cluster everything that lets in a stranger."""
    shut_out(Kubectl(lab))


def shut_out(kube: Kubectl) -> None:
    """Remove from a cluster what lets in strangers. Raises Failed, or Undecided if that could not
    be looked at: then nothing was removed."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as beside:
        asked = beside.submit(bootstrap_tokens, kube)
        bindings, tokens = strange_bindings(kube), asked.result()
    for token in tokens:
        kube.run(
            "--request-timeout", "20s",
            "delete", "--namespace", "kube-system", token, "--ignore-not-found",
        )  # fmt: skip
    _change(kube, [one for one in bindings if not one["subjects"]], "delete", "--ignore-not-found")
    _change(kube, [one for one in bindings if one["subjects"]], "replace")


def _change(kube: Kubectl, objects: Sequence[Object], verb: str, *options: str) -> None:
    if objects:
        kube.run(
            "--request-timeout", "20s", verb, *options, "--filename", "-", stdin=listed(objects)
        )
