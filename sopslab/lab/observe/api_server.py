"""Where the API server of a cluster listens that the lab did not make."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.clusters import ApiServers
from sopslab.model.results import Undecided


def api_servers(lab: Lab) -> ApiServers | None:
    """Return where the API servers are that the Service `kubernetes` leads to; nowhere before the
    cluster is known, None where it does not tell.

    A network policy is about these, and not about the Service's own address and port.
    """
    if not has_content(lab.lab_kubeconfig):
        return ApiServers()
    try:
        slices = Kubectl(lab).list(
            "endpointslices", namespace="default",
            selector="kubernetes.io/service-name=kubernetes", patience=20,
        )  # fmt: skip
    except Undecided:
        return None
    ports = {port.get("port") for one in slices for port in one.get("ports") or ()}
    ends = (end for one in slices for end in one.get("endpoints") or ())
    addresses = {str(address) for end in ends for address in end.get("addresses") or ()}
    known = ApiServers(tuple(sorted(addresses)), tuple(sorted(port for port in ports if port)))
    return known if known.ports else None
