"""The steps back: each undoes what a step of `deploy.py` did, if there is anything to undo."""

from __future__ import annotations

from sopslab.config.naming import bridge_name, git_server_name, network_name
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.operations import access, docker, flux, git, host, kind, kubernetes, lab
from tasks.host import LIMITS, sysctl_record


@step(Step.CLUSTER)
def remove_cluster(settings: Settings) -> None:
    """Delete the cluster, or remove from an existing one what the lab brought."""
    if settings.cluster_provider == "existing":
        kubernetes.login(name=f"Log in to {settings.context} again", settings=settings)
        # Before anything is removed: with `purge`, the repositories go as well.
        flux.sole_use(name="Look for others who use the lab's Flux", settings=settings)
        if settings.git_in_cluster is not None:
            access.withdrawal(name="Take back what learners fetch", settings=settings)
        git.pod_removal(name="Take the Git server out", settings=settings)
        flux.removal(name="Take Flux and the environments out", settings=settings)
    else:
        kind.removal(name=f"Delete the kind cluster {settings.lab}", settings=settings)


@step(Step.GIT)
def remove_git(settings: Settings) -> None:
    """Remove the embedded Git server; its data stays, except what it hands out."""
    access.withdrawal(name="Take back what learners fetch", settings=settings)
    docker.removal(
        name="Remove the Git server",
        container=git_server_name(settings.lab),
        network=network_name(settings.lab),
    )


@step(Step.HOST)
def release_host(settings: Settings) -> None:
    """Undo what the lab changed on the machine: the network, its firewall rules, raised limits."""
    docker.network(
        name="Remove the network",
        network=network_name(settings.lab),
        bridge=bridge_name(settings.lab),
        owner=settings.root,
        present=False,
    )
    # Another machine's Docker knows nothing of this machine's rules, and of the labs on it.
    if settings.engine_host is not None:
        return
    host.firewall_removal(name="Remove the network's firewall rules", settings=settings)
    for key, raised_to in LIMITS.items():
        host.original_sysctl(
            name=f"Restore {key}",
            key=key,
            raised_to=raised_to,
            record=sysctl_record(settings, key),
        )


@step(Step.PURGE)
def purge_lab(settings: Settings) -> None:
    """Remove what only this lab has and, with the last lab of the root, the store and the
    images."""
    lab.removal(name="Remove keys, Git data and clone", settings=settings)
