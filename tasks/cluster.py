"""The step that provides the cluster: a kind cluster of our own, or one that exists."""

from __future__ import annotations

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.config.naming import bridge_name, network_name
from sopslab.config.settings import Settings
from sopslab.files.render import RenderedFile, render_tree
from sopslab.lab.observe.machine import machine_state
from sopslab.layout import SYSTEM_SHARE, TEMPLATES
from sopslab.model.machine import MachineState
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.look import look_at_machine
from sopslab.provision.operations import docker, host, kind, kubernetes
from sopslab.provision.operations.tree import tree
from tasks.host import raise_limits
from tasks.roster import enrolled


@step(Step.CLUSTER)
def check_cluster(settings: Settings) -> None:
    """Check that an existing cluster is fit for a lab, and take the context that is named."""
    if settings.cluster_provider == "existing":
        kubernetes.preflight(
            name=f"Check the context {settings.context}",
            settings=settings,
            seats=[seat.id for seat in enrolled(settings)],
        )
        kubernetes.kubeconfig(name=f"Take the context {settings.context}", settings=settings)


@step(Step.NETWORK)
def begin_cluster(settings: Settings) -> None:
    """Create the network, and begin the kind cluster on it while other steps go on."""
    if settings.has_network:
        docker.network(
            name=f"Create the network {network_name(settings.lab)}",
            network=network_name(settings.lab),
            bridge=bridge_name(settings.lab),
            owner=settings.root,
        )
        # The rules of another machine are not ours: a CI job's Docker service ends with the job.
        if settings.firewalled:
            host.firewall(
                name="Keep the network's traffic on this machine",
                bridge=bridge_name(settings.lab),
                published=settings.git_bind if settings.networked else None,
                allowed=settings.git_url and settings.git_base_cluster_url,
            )
    if settings.cluster_provider == "kind":
        if settings.firewalled:
            raise_limits(settings)
        machine = look_at_machine(machine_state, root=settings.root, commands=[])
        # Alone, a learner waits for pods to start, and for nobody else's.
        share = SYSTEM_SHARE if enrolled(settings) else None
        tree(
            name="Write what the node reads",
            path=settings.node_dir,
            files=node_configuration(machine, share),
        )
        if not settings.recreate:
            kind.node(name="Start a node that was stopped", settings=settings)
            # If the cluster is there already, this has to come before anybody gets access to it.
            kind.strangers(name="Shut strangers out of the cluster", settings=settings)
            kind.limits(name="Limit what pods take from the node", settings=settings, share=share)
        kind.head_start(
            name=f"Begin the kind cluster {settings.lab}",
            settings=settings,
            image=pinned_catalog(settings.catalog).node_tag,
            template=str(TEMPLATES / "kind"),
        )


def node_configuration(machine: MachineState, share: int | None) -> dict[str, RenderedFile]:
    """Return the files that a node on a machine reads when it starts.

    + share: of all processors, for what starts and ends pods, in percent; None is no limit
    """
    variables = {
        "cgroup": machine.cgroup,
        "quota": share and share * machine.cpus,
        "restricted": machine.restricted,
    }
    return render_tree(TEMPLATES / "node", variables)


@step(Step.CLUSTER)
def probe_cluster(settings: Settings) -> None:
    """Probe an existing cluster from pods on its nodes, when the Git server is there for them to
    reach, and before Flux hears of a lab or of a seat."""
    if settings.cluster_provider == "existing":
        kubernetes.probes(
            name=f"Ask the nodes of {settings.context}",
            settings=settings,
            seats=[seat.id for seat in enrolled(settings)],
        )


@step(Step.CLUSTER)
def provide_cluster(settings: Settings) -> None:
    """Wait for the kind cluster."""
    if settings.cluster_provider == "kind":
        kind.cluster(
            name=f"Create the kind cluster {settings.lab}",
            settings=settings,
            image=pinned_catalog(settings.catalog).node_tag,
            template=str(TEMPLATES / "kind"),
        )
