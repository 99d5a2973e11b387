"""Why a cluster cannot be asked."""

from __future__ import annotations

from enum import Enum


class Trouble(Enum):
    """Why a cluster cannot be asked, in words for a sentence."""

    NO_KUBECTL = "kubectl cannot be run"
    NO_KUBECONFIG = "there is no cluster of this lab on this machine yet"
    BAD_KUBECONFIG = "the lab's kubeconfig has no usable context for the cluster"
    REFUSED = "nothing answers at the address of the cluster's API server"
    SILENT = "the cluster's API server does not answer in time"
    CERTIFICATE = "the cluster's certificate does not fit the lab's kubeconfig"
    DENIED = "the cluster refuses the credentials of the lab's kubeconfig, or they lack a right"
    UNWELL = "the cluster's API server says that it is not ready"
