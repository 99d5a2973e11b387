"""The step that bootstraps Flux: from its own repository, locked down, with its credentials."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from ipaddress import ip_network
from urllib.parse import urlsplit

from sopslab.artifacts.catalog import pinned_catalog
from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.naming import nobody
from sopslab.config.settings import Seat, Settings
from sopslab.files.archive import Tree, digest
from sopslab.files.render import Renderer, render_tree
from sopslab.lab.observe.existing import lab_namespaces
from sopslab.lab.observe.kind import cluster_state
from sopslab.layout import (
    API_PORT,
    ARTIFACT_ADDRESS,
    CLASSROOM_DIR,
    ENVIRONMENT,
    EVENT_ADDRESS,
    FLUX_FINALIZER,
    FLUX_NAMESPACE,
    KUSTOMIZATION,
    NAMESPACE,
    PLATFORM,
    RECEIVER,
    RECEIVER_PORT,
    TENANT_BASE,
)
from sopslab.model.clusters import ApiServers
from sopslab.model.steps import Step
from sopslab.provision.deploys import step
from sopslab.provision.look import recall
from sopslab.provision.operations import access, builds, flux, kubernetes
from tasks.roster import enrolled, enrolment_of

# The port of a URL that names none.
_PORTS = {"http": 80, "https": 443}
# How long Flux stays on a node that the cluster hears nothing of, where there are others: seconds.
_LOST_NODE_S = 30


@step(Step.PLATFORM)
def provide_platform(settings: Settings) -> None:
    """Push the platform repository, from which the cluster reconciles itself."""
    seats = enrolled(settings)
    if seats:
        access.generations(
            name=f"Name the users of {len(seats)} seats",
            settings=settings,
            seats=[seat.id for seat in seats],
        )
        if settings.cluster_provider == "existing":
            access.issuer(name="Choose what learners log in with", settings=settings)
    if seats and _cluster_is_up(settings):
        # Before Flux begins with a new seat, so that nothing fails for want of a key and is tried
        # again. Certificates, too: while Flux is at work, they take longer, and so does Flux.
        _give_seats(settings)
    catalog = pinned_catalog(settings.catalog)
    flux.platform(
        name="Lay out the platform repository",
        settings=settings,
        files=partial(platform_files, settings, seats),
        recipe=catalog.flux_recipe,
        overlays=partial(overlays, settings, seats, enrolment_of(settings).shut) if seats else None,
        tag=tenant_base_tag() if seats else None,
        catalog=catalog,
    )


@step(Step.FLUX)
def bootstrap_flux(settings: Settings) -> None:
    """Give the cluster Flux, and what it needs to reconcile itself from the platform repository."""
    kubernetes.manifests(
        name="Apply the controllers",
        settings=settings,
        path=f"{settings.manifests_dir}/components.yaml",
    )
    pinned = pinned_catalog(settings.catalog).version("openapi", "modules")
    kubernetes.served_api(
        name="Ask the cluster for its API",
        settings=settings,
        pinned=f"{settings.store}/openapi-{pinned}",
    )
    give_secrets(settings, [solo(settings)])
    kubernetes.manifests(
        name="Apply the sources and Kustomizations",
        settings=settings,
        path=f"{settings.manifests_dir}/sync.yaml",
    )
    # While the controllers start, where they are new: all that they begin with is there.
    builds.queue(name="Have no build hold up the others", settings=settings)
    if enrolled(settings) and not _cluster_is_up(settings):
        _give_seats(settings)


def _give_seats(settings: Settings) -> None:
    """Give every seat what does not come out of Git: key, credentials, token, access."""
    seats = enrolled(settings)
    give_secrets(settings, [at_seat(seat) for seat in seats])
    access.kubeconfigs(
        name=f"Issue the access of {len(seats)} seats",
        settings=settings,
        seats=[seat.id for seat in seats],
    )
    access.handouts(
        name="Hand out what learners fetch for themselves", settings=settings, roster=seats
    )


def give_secrets(settings: Settings, environments: Sequence[Environment]) -> None:
    """Give Flux what does not come out of Git, except access: keys, credentials, tokens."""
    many = len(environments) > 1
    whose = f"the Secrets of {len(environments)} environments" if many else "its Secrets"
    if environments:
        flux.secrets(name=f"Give Flux {whose}", settings=settings, environments=environments)


def _cluster_is_up(settings: Settings) -> bool:
    """Return whether the lab's cluster was there before this run, with Flux, and stays."""
    if settings.cluster_provider == "existing":
        return FLUX_NAMESPACE in (recall(settings, lab_namespaces) or ())
    found = recall(settings, cluster_state)
    there = found.complete and found.status == "running" and not found.stray
    return there and not settings.recreate


def platform_files(
    settings: Settings, seats: Sequence[Seat], api: ApiServers, identity: str | None = None
) -> Tree:
    """Return the platform repository, without the components that `flux install` prints and without
    the overlays of the seats.

    + seats: the learners of a class
    + api: where the API server is
    + identity: the lab's id, None on a cluster of its own
    """
    ours = settings.cluster_provider == "kind"
    # Alone on a cluster of somebody else's, Flux may reach everything, as it does by itself.
    bounded = ours or bool(seats)
    files = render_tree(
        PLATFORM / "clusters",
        {
            "api_addresses": list(map(_only, api.addresses)),
            "api_ports": api.ports if bounded else (),
            "api_port": API_PORT,
            "artifact_address": ARTIFACT_ADDRESS if ours else None,
            "environment": ENVIRONMENT,
            "event_address": EVENT_ADDRESS,
            # In a cluster that outlives the lab, what no controller has seen has to go by itself.
            "flux_finalizer": FLUX_FINALIZER if ours else None,
            "git_port": _port(settings.git_base_cluster_url),
            "git_url": settings.git_base_cluster_url,
            "kustomization": KUSTOMIZATION,
            "lab": settings.lab,
            "lab_id": identity,
            "learner": settings.learner.model_dump(),
            "learner_repository": settings.learner_repository,
            "lost_node_s": None if ours else _LOST_NODE_S,
            "namespace": NAMESPACE,
            "receiver_name": RECEIVER,
            "receiver_port": RECEIVER_PORT if ours else None,
            "tenant_base_tag": tenant_base_tag(),
        },
    )
    laid_out = {f"flux/clusters/{path}": file for path, file in files.items()}
    if not bounded:
        del laid_out["flux/clusters/lab/flux-system/network.yaml"]
    if not ours:
        del laid_out["flux/clusters/lab/flux-system/events.yaml"]
    if not api.addresses:
        del laid_out["flux/clusters/lab/flux-system/asked.yaml"]
    if not seats:
        return {path: file for path, file in laid_out.items() if not path.startswith(CLASSROOM_DIR)}
    return laid_out | {f"{TENANT_BASE}/{path}": file for path, file in tenant_base().items()}


def _only(address: str) -> str:
    """Return an address as the network that has no other."""
    return str(ip_network(address))


def _port(url: str) -> int:
    parts = urlsplit(url)
    return parts.port or _PORTS[parts.scheme]


def overlays(
    settings: Settings,
    seats: Sequence[Seat],
    shut: Collection[str],
    users: Mapping[str, str],
    identity: str | None = None,
) -> Tree:
    """Return what the platform repository has for each seat.

    + seats: the learners of a class
    + shut: the ids of those whose access has ended: nobody is let in there, and Flux delivers
        nothing
    + users: whom the cluster takes each learner for; in a seat without one nobody is let in
    + identity: the lab's id, None on a cluster of its own
    """
    tenants = Renderer(PLATFORM / "tenants")
    laid_out = {}
    for seat in seats:
        over = seat.id in shut
        given = {
            "seat": seat.id,
            "user": nobody(seat.id) if over else users.get(seat.id, nobody(seat.id)),
            "git_url": settings.git_base_cluster_url,
            "interval": _interval(settings),
            "lab": settings.lab,
            "lab_id": identity,
            "suspended": over,
        }
        overlay = tenants.file("overlay.yaml", given)
        laid_out[f"flux/clusters/lab/tenants/{seat.id}.yaml"] = overlay
    return laid_out


def _interval(settings: Settings) -> str:
    """Return how often Flux looks for a push to a seat's repository that it was not told of.

    The lab's own server tells it on the lab's own network, and within the cluster; from nowhere
    else is there a way to Flux.
    """
    told = settings.cluster_provider == "kind" or settings.git_pod is not None
    return "5m0s" if told else "1m0s"


def tenant_base() -> Tree:
    """Return what every seat has in the cluster, as Flux fills it in."""
    return render_tree(PLATFORM / "tenants" / "base", {})


def tenant_base_tag() -> str:
    """Return the tag under which Flux reads the base of the seats.

    It moves when the base changes and at no other time, so that a new learner's overlay wakes no
    other seat.
    """
    return f"tenant-base-{digest(tenant_base())[:12]}"
