"""The step that provides the cluster: a kind cluster of our own, or one that exists."""

from __future__ import annotations

from pyinfra.api import deploy

from sopslab.catalog import load_catalog
from sopslab.layout import TEMPLATES
from sopslab.naming import bridge_name, network_name
from sopslab.operations import docker, host, kind, kubernetes
from sopslab.settings import Settings


@deploy("Cluster")
def provide_cluster(settings: Settings) -> None:
    """Create the network and the kind cluster on it, or take the cluster that the settings name."""
    if settings.git_url is None or settings.cluster_provider == "kind":
        docker.network(
            name=f"Create the network {network_name(settings.lab)}",
            network=network_name(settings.lab),
            bridge=bridge_name(settings.lab),
            owner=settings.root,
        )
        host.firewall(
            name="Keep the network's traffic on this machine", bridge=bridge_name(settings.lab)
        )
    if settings.cluster_provider == "existing":
        kubernetes.kubeconfig(name=f"Take the context {settings.context}", settings=settings)
        return
    kind.cluster(
        name=f"Create the kind cluster {settings.lab}",
        settings=settings,
        image=load_catalog(settings.catalog).node_tag,
        template=str(TEMPLATES / "kind"),
    )
    kind.node(name="Start its node", settings=settings)
