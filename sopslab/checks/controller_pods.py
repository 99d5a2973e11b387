"""Pods that find something out by a request to a server. They use the images of Flux's controllers,
which every cluster needs anyway. Such an image may have no program besides its controller.

A controller is given the server's address as if the server were its API server. The controller
makes one request, without credentials, and the last line that it prints has the result.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from sopslab.checks.causes import REACHING, cause_of
from sopslab.model.objects import Object

ACCOUNT = "probe"
_FOLDER = "/etc/kubeconfigs"
_ANNOTATION = "sops-lab/kubeconfig-"
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_RESOURCES = {
    "requests": {"cpu": "5m", "memory": "16Mi"},
    "limits": {"cpu": "500m", "memory": "128Mi"},
}
# How a controller reports what came of its request (client-go's `ServerGroups`). If no answer came,
# the error also names the request (Go's net/url).
_ASKED = "failed to get server groups: "
_NO_ANSWER = re.compile(r'failed to get server groups: Get \\?"')
# If there was no connection, Go's error says that it could not dial.
_DIALLED = re.compile(r'failed to get server groups: Get \\?"[^"]*\\?": dial tcp ')
UNKNOWN_END = "what became of the question is not known"
# The kubelet repeats a failed pull, and in between reports that it waits (ImagePullBackOff).
_NOT_PULLED = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
# The exit code of a container that the runtime could not start.
_NOT_STARTED = 128
_NOT_BEGUN = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def account(namespace: str) -> Object:
    """Return the pods' ServiceAccount, which has no rights."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT, "namespace": namespace},
        "automountServiceAccountToken": False,
    }


def controller_of(image: str) -> str:
    """Return the name of an image's controller: the last part of the image's path."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def container(name: str, image: str, *args: str, asking: str | None = None) -> Object:
    """Return a container that runs an image's controller.

    + args: the arguments of the controller
    + asking: the name of the pod's kubeconfig that leads to the server; None if it asks none
    """
    made: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": list(args),
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _RESTRICTED,
        "resources": _RESOURCES,
    }
    if asking is not None:
        made["env"] = [
            {"name": "KUBECONFIG", "value": f"{_FOLDER}/{asking}"},
            {"name": "RUNTIME_NAMESPACE", "value": "default"},
        ]
        made["volumeMounts"] = [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "kubeconfigs", "mountPath": _FOLDER, "readOnly": True},
        ]
    return made


def pod(
    name: str,
    node: str,
    containers: Sequence[Object],
    kubeconfigs: Mapping[str, str],
    *,
    seconds: int,
    restarts: bool = False,
    labels: Mapping[str, str] | None = None,
) -> Object:
    """Return a pod on a node.

    + kubeconfigs: the kubeconfigs of its containers, by name
    + seconds: the time after which the kubelet ends the pod, in case the run that made it is gone
    + restarts: whether a container without an answer asks again
    """
    files = [
        {"path": key, "fieldRef": {"fieldPath": f"metadata.annotations['{_ANNOTATION}{key}']"}}
        for key in kubeconfigs
    ]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "labels": dict(labels or {}),
            "annotations": {f"{_ANNOTATION}{key}": text for key, text in kubeconfigs.items()},
        },
        "spec": {
            # Without the scheduler, the kubelet says at once why the node does not take the pod.
            "nodeName": node,
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "OnFailure" if restarts else "Never",
            "activeDeadlineSeconds": seconds,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True},
            "containers": list(containers),
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "kubeconfigs", "downwardAPI": {"items": files}},
            ],
        },
    }


def kubeconfig(server: str, ca: bytes | None = None) -> str:
    """Return a kubeconfig that names a server and no credentials.

    + ca: the certificate by which the server is trusted, None if the image has one that does
    """
    cluster = {"server": server}
    if ca is not None:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "asked", "cluster": cluster}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "asked", "context": {"cluster": "asked", "user": "nobody"}}],
            "current-context": "asked",
        }
    )


def not_started(pod: Object) -> str | None:
    """Return why a pod was not started at all; None if it was, or if this is not known yet."""
    status = pod.get("status") or {}
    if status.get("containerStatuses") or status.get("phase") != "Failed":
        return None
    return f"no pod is started ({status.get('reason') or 'it does not say why'})"


def stopped(status: Object) -> str:
    """Return why a container cannot run, "" if no reason is known."""
    state = status["state"]
    reason = (state.get("waiting") or {}).get("reason", "")
    ended = state.get("terminated") or {}
    if reason in _NOT_PULLED:
        return f"{status['image']} cannot be pulled ({reason})"
    if reason in _NOT_BEGUN or ended.get("exitCode") == _NOT_STARTED:
        return f"{status['image']} does not run ({reason or ended.get('reason', '')})"
    return ""


def unanswered(message: str) -> str:
    """Return why a server gave no answer, or "" if it gave one.

    + message: the controller's last line
    """
    if _NO_ANSWER.search(message):
        cause = cause_of(message, REACHING)
        return "the connection breaks" if cause is None else cause.text
    return "" if _ASKED in message else UNKNOWN_END


def was_connected(message: str) -> bool | None:
    """Return whether there was a connection to the server at all; None if this is not known.

    + message: the controller's last line
    """
    if _ASKED not in message:
        return None
    return _DIALLED.search(message) is None
