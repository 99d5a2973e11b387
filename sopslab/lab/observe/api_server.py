"""The addresses of the API servers of an existing cluster."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.tools.files import has_content
from sopslab.lab.tools.kubectl import Kubectl
from sopslab.model.clusters import ApiServers
from sopslab.model.results import Undecided


def api_servers(lab: Lab) -> ApiServers | None:
    """Return the addresses and ports of the API servers behind the Service `kubernetes`. The result
    is empty before the lab has a kubeconfig, and None if the cluster does not list them.

    A network policy has to allow these addresses and ports, not those of the Service itself.
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
