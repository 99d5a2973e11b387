"""Pods that find out what nodes give to Flux: each runs its controllers on one node, for a moment.

The images are those that the cluster needs anyway, and nothing else can be expected in them than
the controllers. The source controller is given the Git server as if that were its API server: it
asks it one question, without credentials, and ends with what became of that in its last line.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any

from sopslab.model.clusters import NodeReach
from sopslab.model.objects import Object

ACCOUNT = "probe"
_KUBECONFIG = "sops-lab/kubeconfig"
# The one that reads repositories.
_READER = "source-controller"
_NO_SERVER = ("--metrics-addr=0", "--health-addr=:0", "--storage-path=/tmp")
# How long the kubelet lets a pod be, if whoever made it is gone.
_SECONDS = 300
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_RESOURCES = {
    "requests": {"cpu": "10m", "memory": "32Mi"},
    "limits": {"cpu": "500m", "memory": "128Mi"},
}
# What the controller has from the server, or what it says if it has nothing. From client-go's
# `ServerGroups` and Go's net/url: an error of the way there names the request.
_ASKED = "failed to get server groups: "
_NO_ANSWER = re.compile(r'failed to get server groups: Get \\?"')
_WAYS = (
    (r"no such host|server misbehaving|lookup \S+.*i/o timeout", "its name is not found"),
    (r"connection refused", "the connection is refused"),
    (r"no route to host|network is unreachable", "there is no route to it"),
    (r"first record does not look like a TLS|HTTP response to HTTPS", "it has no TLS"),
    (r"x509:|tls: ", "its certificate is not trusted"),
    (r"timeout|deadline exceeded", "it does not answer in time"),
)
# A first attempt that failed is made again, and then the kubelet says that it waits.
_NOT_PULLED = ("ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
# The exit code of a container that the runtime could not start.
_NOT_STARTED = 128
_NOT_BEGUN = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


def pods(
    nodes: Sequence[str], images: Sequence[str], server: str, ca: bytes | None
) -> list[Object]:
    """Return a pod for each node, and the account that they have and that may do nothing.

    + images: those of Flux's controllers
    + server: the address of the Git server in the cluster
    + ca: the certificate that it is trusted by, None where that is one of the image's own
    """
    account: Object = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": ACCOUNT},
        "automountServiceAccountToken": False,
    }
    kubeconfig = _kubeconfig(server, ca)
    return [account, *(_pod(number, node, images, kubeconfig) for number, node in enumerate(nodes))]


def _kubeconfig(server: str, ca: bytes | None) -> str:
    cluster = {"server": server}
    if ca is not None:
        cluster["certificate-authority-data"] = base64.b64encode(ca).decode()
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "git", "cluster": cluster}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "git", "context": {"cluster": "git", "user": "nobody"}}],
            "current-context": "git",
        }
    )


def _pod(number: int, node: str, images: Sequence[str], kubeconfig: str) -> Object:
    file = {
        "path": "kubeconfig",
        "fieldRef": {"fieldPath": f"metadata.annotations['{_KUBECONFIG}']"},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"node-{number}", "annotations": {_KUBECONFIG: kubeconfig}},
        "spec": {
            # Not by the scheduler: what keeps a pod off the node is said at once then.
            "nodeName": node,
            "serviceAccountName": ACCOUNT,
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "activeDeadlineSeconds": _SECONDS,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {"runAsNonRoot": True},
            "containers": [_container(image) for image in images],
            "volumes": [
                {"name": "tmp", "emptyDir": {}},
                {"name": "git", "downwardAPI": {"items": [file]}},
            ],
        },
    }


def _container(image: str) -> Object:
    name = _controller(image)
    container: dict[str, Any] = {
        "name": name,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["--help"],
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": _RESTRICTED,
        "resources": _RESOURCES,
    }
    if name == _READER:
        container["args"] = list(_NO_SERVER)
        container["env"] = [
            {"name": "KUBECONFIG", "value": "/etc/git/kubeconfig"},
            {"name": "RUNTIME_NAMESPACE", "value": "default"},
        ]
        container["volumeMounts"] = [
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "git", "mountPath": "/etc/git", "readOnly": True},
        ]
    return container


def _controller(image: str) -> str:
    """Return the name of the controller that an image has: the last part of its path."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]


def reading(pod: Object) -> NodeReach | None:
    """Return what a pod has found out of its node, None as long as it may still say more."""
    status = pod.get("status") or {}
    found = status.get("containerStatuses") or []
    if not found:
        if status.get("phase") != "Failed":
            return None
        why = status.get("reason") or "it does not say why"
        return NodeReach(images=f"no pod is started ({why})")
    stopped = [why for why in map(_stopped, found) if why]
    if stopped:
        return NodeReach(images=stopped[0])
    ended = [one["state"].get("terminated") for one in found]
    if None in ended:
        return None
    said = next(one["state"]["terminated"] for one in found if one["name"] == _READER)
    return NodeReach(git=_way(said.get("message") or ""))


def late(pod: Object) -> NodeReach:
    """Return what is to be said of a node whose pod is not done when its time is over."""
    found = (pod.get("status") or {}).get("containerStatuses") or []
    pulled = [one for one in found if "waiting" not in one["state"]]
    if found and len(pulled) == len(found):
        return NodeReach(git="it does not answer in time")
    return NodeReach(images="Flux's images are not there in time")


def _stopped(container: Object) -> str:
    """Return why a container cannot run, "" if nothing is known against it."""
    state = container["state"]
    reason = (state.get("waiting") or {}).get("reason", "")
    ended = state.get("terminated") or {}
    if reason in _NOT_PULLED:
        return f"{container['image']} cannot be pulled ({reason})"
    if reason in _NOT_BEGUN or ended.get("exitCode") == _NOT_STARTED:
        return f"{container['image']} does not run ({reason or ended.get('reason', '')})"
    return ""


def _way(message: str) -> str:
    """Return why the Git server was not reached, "" if it answered, whatever it said."""
    if _NO_ANSWER.search(message):
        return next(
            (why for pattern, why in _WAYS if re.search(pattern, message)), "the connection breaks"
        )
    return "" if _ASKED in message else "what became of the question is not known"
