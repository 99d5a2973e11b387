"""Where the API server of a cluster listens that the lab did not make."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.results import Undecided


def api_ports(lab: Lab) -> list[int] | None:
    """Return the ports at which API servers listen that the Service `kubernetes` leads to; none
    before the cluster is known, None where it does not tell them.

    A network policy is about these, and not about the Service's own port.
    """
    if not has_content(lab.lab_kubeconfig):
        return []
    try:
        slices = Kubectl(lab).list(
            "endpointslices", namespace="default",
            selector="kubernetes.io/service-name=kubernetes", patience=20,
        )  # fmt: skip
    except Undecided:
        return None
    ports = {port.get("port") for one in slices for port in one.get("ports") or ()}
    return sorted(port for port in ports if port) or None
