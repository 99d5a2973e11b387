"""The Git server in the cluster: its objects, and why its pod does not serve. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sopslab.config.naming import git_namespace
from sopslab.config.places import GIT_SERVER_PORT, GIT_SERVER_USER
from sopslab.layout import FLUX_NAMESPACE
from sopslab.model.clusters import CLUSTER_DNS
from sopslab.model.git_pod import NAME, PodShape
from sopslab.model.objects import Object, condition, is_ready, label, namespace
from sopslab.model.quantities import quantity

_SELECTED = {"app": NAME}
_CONTENT = "sops-lab/content"
_HTTPD, _CERTIFICATE, _TOKEN = "htpasswd", "server.pem", "token"
SECRET_FILES = {_HTTPD: "htpasswd", _CERTIFICATE: "tls/server.pem", _TOKEN: "receiver/token"}
"""The entries of the Git server's Secret, each with the path of its file below the Git server's
folder on this machine."""
_NOT_PULLED = ("ErrImagePull", "ImagePullBackOff")
# Where Flux's notification-controller listens for calls.
_RECEIVER = 9292
_OPENSHIFT_DNS = "dns.operator.openshift.io/daemonset-dns"
_TMP = "192Mi"
REQUESTS = (100, 256)
"""What the Git server's pod requests: thousandths of a processor, and MiB of memory."""
# The same limits as the embedded server has.
_RESOURCES = {
    "requests": {"cpu": f"{REQUESTS[0]}m", "memory": f"{REQUESTS[1]}Mi"},
    "limits": {"memory": "768Mi"},
}
_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}


def objects(
    lab: str,
    ours: Mapping[str, str],
    shape: PodShape,
    configuration: Mapping[str, str],
    executable: Collection[str],
    recipients: Mapping[str, str],
    secrets: Mapping[str, bytes],
) -> list[Object]:
    """Return the objects of a lab's Git server.

    + ours: the labels that mark it as the lab's
    + configuration: the gate, the hooks, and git's configuration, by path
    + executable: the paths of those files of the configuration that are programs
    + recipients: for each owner, to whom the secrets in their repository are encrypted
    + secrets: the content of the files of `SECRET_FILES`, by the entry of the Secret
    """
    texts = {_key(path): text for path, text in configuration.items()}
    kept = {key: base64.b64encode(secrets[key]).decode() for key in SECRET_FILES}
    etc = [
        {"key": _key(path), "path": path, "mode": 0o555 if path in executable else 0o444}
        for path in configuration
    ]
    data = [
        _object("v1", "ConfigMap", "etc", data=texts),
        _object("v1", "ConfigMap", "recipients", data=dict(recipients)),
        _object("v1", "Secret", NAME, data=kept),
    ]
    content = hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
    made = [
        *data,
        _object("v1", "ServiceAccount", NAME, automountServiceAccountToken=False),
        _object("v1", "Service", NAME, spec=_service(shape)),
        *_policies(),
        _object("apps/v1", "StatefulSet", NAME, spec=_stateful_set(shape, etc, content)),
    ]
    name = git_namespace(lab)
    labels = {**ours, "pod-security.kubernetes.io/enforce": "restricted"}
    place = {"namespace": name, "labels": dict(ours)}
    return [
        namespace(name, labels),
        *({**one, "metadata": {**one["metadata"], **place}} for one in made),
    ]


def _object(version: str, kind: str, name: str, **parts: Any) -> Object:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **parts}


def _key(path: str) -> str:
    """Return the key of a file in a ConfigMap, where keys may not contain a slash."""
    return path.replace("/", ".")


def _service(shape: PodShape) -> Object:
    inside: dict[str, Any] = {"name": "git", "port": GIT_SERVER_PORT, "targetPort": "git"}
    if shape.service == "NodePort":
        inside["nodePort"] = shape.port
    ports = [inside]
    if shape.service == "LoadBalancer" and shape.port != GIT_SERVER_PORT:
        ports.append({"name": "learners", "port": shape.port, "targetPort": "git"})
    return {"type": shape.service, "selector": _SELECTED, "ports": ports}


def _policies() -> list[Object]:
    """Return the network policies. Flux and learners may reach the server; learners come from
    outside the cluster, through any of its nodes. The server itself, because it processes what
    learners have pushed, may reach only Flux's Receiver, and the cluster's DNS for its address.

    There is one policy for each direction, because in a policy for both directions kube-router
    would also apply the ingress rules to egress.
    """
    selected = {"podSelector": {"matchLabels": _SELECTED}}
    receiver = _pods(FLUX_NAMESPACE, {"app": "notification-controller"})
    ways = [
        {"to": [receiver], "ports": [{"protocol": "TCP", "port": _RECEIVER}]},
        _names(53, _pods("kube-system", {"k8s-app": CLUSTER_DNS})),
        # OpenShift's listens at this port behind its Service.
        _names(5353, _pods("openshift-dns", {_OPENSHIFT_DNS: "default"})),
    ]
    version, kind = "networking.k8s.io/v1", "NetworkPolicy"
    served = [{"ports": [{"protocol": "TCP", "port": GIT_SERVER_PORT}]}]
    return [
        _object(version, kind, "served",
                spec={**selected, "policyTypes": ["Ingress"], "ingress": served}),
        _object(version, kind, "receiver-only",
                spec={**selected, "policyTypes": ["Egress"], "egress": ways}),
    ]  # fmt: skip


def _pods(namespace: str, labels: Mapping[str, str]) -> Object:
    """Return how a network policy names the pods with these labels in a namespace."""
    return {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}},
        "podSelector": {"matchLabels": dict(labels)},
    }


def _names(port: int, pods: Object) -> Object:
    """Return the rule of a network policy that lets a pod ask some pods for names."""
    return {"to": [pods], "ports": [{"protocol": kind, "port": port} for kind in ("UDP", "TCP")]}


def _stateful_set(shape: PodShape, etc: Sequence[Object], content: str) -> Object:
    claim: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": shape.size}},
    }
    if shape.storage_class is not None:
        claim["storageClassName"] = shape.storage_class
    return {
        "replicas": 1,
        "serviceName": NAME,
        # A pod that never became ready must not hold up its successor.
        "podManagementPolicy": "Parallel",
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "selector": {"matchLabels": _SELECTED},
        "template": {
            # The annotation restarts the server, which reads its configuration only when it starts.
            "metadata": {"labels": _SELECTED, "annotations": {_CONTENT: content}},
            "spec": _pod(shape.image, etc),
        },
        "volumeClaimTemplates": [
            _object("v1", "PersistentVolumeClaim", "repositories", spec=claim),
        ],
    }  # fmt: skip


def _pod(image: str, etc: Sequence[Object]) -> Object:
    root = "/srv/git"

    def secret(key: str) -> Object:
        items = [{"key": key, "path": key}]
        return {"secret": {"secretName": NAME, "defaultMode": 0o440, "items": items}}

    return {
        "serviceAccountName": NAME,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": GIT_SERVER_USER,
            "runAsGroup": GIT_SERVER_USER,
            "fsGroup": GIT_SERVER_USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": NAME,
                "image": image,
                "args": [root, str(GIT_SERVER_PORT), f"{root}/tls/{_CERTIFICATE}"],
                "ports": [{"name": "git", "containerPort": GIT_SERVER_PORT}],
                "readinessProbe": {"tcpSocket": {"port": "git"}, "periodSeconds": 2},
                "resources": _RESOURCES,
                "securityContext": _RESTRICTED,
                "volumeMounts": [
                    {"name": "repositories", "mountPath": f"{root}/repositories"},
                    # These folders are on the volume, so that a pod on another node has them, too.
                    # They cannot clash with a repository, whose name never begins with a dot.
                    {"name": "repositories", "mountPath": f"{root}/access", "subPath": ".access"},
                    {"name": "repositories", "mountPath": f"{root}/rows", "subPath": ".rows"},
                    {"name": "etc", "mountPath": f"{root}/etc", "readOnly": True},
                    {"name": "recipients", "mountPath": f"{root}/recipients", "readOnly": True},
                    {"name": "tls", "mountPath": f"{root}/tls", "readOnly": True},
                    {"name": "receiver", "mountPath": f"{root}/receiver", "readOnly": True},
                    {"name": "accounts", "mountPath": f"{root}/htpasswd", "subPath": _HTTPD,
                     "readOnly": True},
                    {"name": "tmp", "mountPath": "/tmp"},
                ],
            }
        ],
        "volumes": [
            {"name": "etc", "configMap": {"name": "etc", "items": list(etc)}},
            {"name": "recipients", "configMap": {"name": "recipients"}},
            {"name": "tls", **secret(_CERTIFICATE)},
            {"name": "receiver", **secret(_TOKEN)},
            {"name": "accounts", **secret(_HTTPD)},
            {"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": _TMP}},
        ],
    }  # fmt: skip


def is_rolled_out(stateful_set: Object) -> bool:
    """Return whether the pod is ready and of the newest revision."""
    status = stateful_set.get("status") or {}
    return bool(
        status.get("observedGeneration") == stateful_set["metadata"]["generation"]
        and status.get("readyReplicas") == 1
        and status.get("updatedReplicas") == 1
        and status.get("currentRevision") == status.get("updateRevision")
    )


def is_outdated(pod: Object, stateful_set: Object) -> bool:
    """Return whether a pod is not ready and of an older revision. Kubernetes does not replace such
    a pod by itself."""
    revision = label(pod, "controller-revision-hash")
    wanted = (stateful_set.get("status") or {}).get("updateRevision")
    return not is_ready(pod) and wanted is not None and revision != wanted


def other_claim(stateful_set: Object, storage_class: str | None, size: str) -> str:
    """Return the size and the storage class with which the present server was made, or "" if they
    are the wanted ones. A StatefulSet's volume claim cannot be changed.

    + storage_class: the storage class that is wanted, None for the cluster's default
    + size: the size that is wanted
    """
    (claim,) = stateful_set["spec"]["volumeClaimTemplates"]
    has_class = claim["spec"].get("storageClassName")
    has_size = claim["spec"]["resources"]["requests"]["storage"]
    if has_class == storage_class and quantity(has_size) == quantity(size):
        return ""
    return f"{has_size} of {has_class or 'the default storage class'}"


def hindrance(pod: Object | None, claim: Object | None) -> str:
    """Return why a pod is not ready, in a clause."""
    if pod is None:
        return "there is no pod yet"
    for status in (pod.get("status") or {}).get("containerStatuses") or []:
        state = status.get("state") or {}
        reason = ((state.get("waiting") or state.get("terminated")) or {}).get("reason")
        if reason in _NOT_PULLED:
            return f"its node cannot pull {status['image']}"
        if reason:
            return f"its container is in the state {reason}"
    if condition(pod, "PodScheduled").get("status") != "False":
        return "it has not started yet"
    if claim is None or (claim.get("status") or {}).get("phase") != "Pending":
        return "no node has room for it"
    named = claim["spec"].get("storageClassName")
    which = f"the storage class {named}" if named else "a default storage class"
    return f"no node has room for it, or {which} gives it no volume"
