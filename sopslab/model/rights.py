"""The rights that the user who runs `up` needs in an existing cluster: for everything that the
verbs of a lab do there, and no others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Right:
    """A verb on the objects of a resource in every namespace. If `name` is given, on that object
    alone."""

    verb: str
    group: str
    resource: str
    name: str = ""


def _rights(verbs: str, group: str, resources: str) -> Iterator[Right]:
    for resource in resources.split():
        for verb in verbs.split():
            yield Right(verb, group, resource)


_LIST = "get list watch"
_ALL = f"{_LIST} create update patch delete"
_RBAC, _APPS, _NETWORK = "rbac.authorization.k8s.io", "apps", "networking.k8s.io"
_ADMISSION, _CERTIFICATES = "admissionregistration.k8s.io", "certificates.k8s.io"
_FLUX = ("source", "kustomize", "notification")

RIGHTS = (
    *_rights(_ALL, "", "namespaces pods services secrets configmaps serviceaccounts"),
    *_rights(_ALL, "", "resourcequotas"),
    *_rights("get list", "", "nodes"),
    *_rights("list", "", "events"),
    *_rights("get", "", "pods/log services/proxy"),
    *_rights(_ALL, _APPS, "deployments"),
    *_rights(_LIST, _APPS, "replicasets"),
    *_rights(_ALL, _NETWORK, "networkpolicies"),
    *_rights(_ALL, "apiextensions.k8s.io", "customresourcedefinitions"),
    *_rights(_ALL, _RBAC, "clusterroles clusterrolebindings roles rolebindings"),
    # The lab gives cluster-admin to Flux. Only a user who has cluster-admin, or these two rights,
    # can do that.
    *_rights("escalate bind", _RBAC, "clusterroles"),
    *_rights("list", "discovery.k8s.io", "endpointslices"),
    *_rights("get delete", "coordination.k8s.io", "leases"),
    # `down` looks for the objects of a class in every lab, because it may have had one.
    *_rights("list", _ADMISSION, "validatingadmissionpolicies validatingadmissionpolicybindings"),
    *_rights("list", _CERTIFICATES, "certificatesigningrequests"),
    *(right for one in _FLUX for right in _rights(_ALL, f"{one}.toolkit.fluxcd.io", "*")),
)
"""The rights that every lab needs."""

ADMINISTRATION = Right("administer", "sops-lab", "seats")
"""A right on a resource that no API has. The admission policies of a class recognise the instructor
by it."""

_SWEPT = f"{_LIST} patch delete"
CLASS_RIGHTS = (
    ADMINISTRATION,
    *_rights(
        "get watch create update patch delete",
        _ADMISSION,
        "validatingadmissionpolicies validatingadmissionpolicybindings",
    ),
    *_rights("get create", _CERTIFICATES, "certificatesigningrequests"),
    *_rights("delete deletecollection", _CERTIFICATES, "certificatesigningrequests"),
    *_rights("update", _CERTIFICATES, "certificatesigningrequests/approval"),
    Right("approve", _CERTIFICATES, "signers", "kubernetes.io/kube-apiserver-client"),
    *_rights("create", "", "serviceaccounts/token"),
    # A reset removes from a seat whatever a learner can make, and what controllers make of it.
    *_rights(_SWEPT, "", "persistentvolumeclaims endpoints"),
    *_rights("patch delete", _APPS, "replicasets"),
    *_rights(_SWEPT, _APPS, "statefulsets controllerrevisions"),
    *_rights(_SWEPT, "batch", "jobs cronjobs"),
    *_rights("get watch patch delete", "discovery.k8s.io", "endpointslices"),
    # It also sees whether a seat still has everything that Flux has applied there.
    *_rights("list", "", "limitranges"),
)
"""The rights that a class needs in addition."""

GIT_RIGHTS = (
    *_rights(_ALL, _APPS, "statefulsets"),
    *_rights("get", "", "persistentvolumeclaims"),
    *_rights("create", "", "pods/exec"),
    *_rights("list", "storage.k8s.io", "storageclasses"),
    *_rights("list", "", "persistentvolumes"),
)
"""The rights that a lab with its Git server in the cluster needs in addition."""
