"""Names: what Kubernetes, Docker and the file system all accept."""

from __future__ import annotations

import hashlib
import re

# RFC 1123 label, as Kubernetes asks of namespaces
# (k8s.io/apimachinery/pkg/util/validation, IsDNS1123Label).
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_RESERVED = {"default", "flux-system"}


def check_label(value: str) -> str:
    """Return `value` if it is a DNS-1123 label that is not reserved; raise ValueError if not."""
    if not _LABEL.fullmatch(value):
        raise ValueError(
            "at most 63 of a-z, 0-9 and `-` are allowed, with a letter or digit at both ends"
        )
    if value in _RESERVED or value.startswith("kube-"):
        raise ValueError("this name is Kubernetes' or Flux's own")
    return value


def network_name(lab: str) -> str:
    """Return the Docker network of a lab."""
    return f"sops-lab-{lab}"


def bridge_name(lab: str) -> str:
    """Return the host's bridge for that network; the kernel allows 15 characters."""
    return f"sl-{hashlib.sha256(lab.encode()).hexdigest()[:10]}"


def node_name(lab: str) -> str:
    """Return the container of the lab's one node, as kind names it."""
    return f"{lab}-control-plane"


def git_server_name(lab: str) -> str:
    """Return the container of the embedded Git server; it is its host name in the cluster too."""
    return f"{lab}-git"
