"""The step that bootstraps Flux: from its own repository, locked down, with its credentials."""

from __future__ import annotations

from pyinfra.api import deploy

from sopslab.archive import Tree
from sopslab.catalog import load_catalog
from sopslab.layout import (
    ARTIFACT_ADDRESS,
    ENVIRONMENT,
    FLUX_NAMESPACE,
    KUSTOMIZATION,
    NAMESPACE,
    PLATFORM,
    RECEIVER,
    RECEIVER_PORT,
)
from sopslab.operations import flux, kubernetes
from sopslab.render import render_tree
from sopslab.settings import FLUX, Settings


@deploy("Platform")
def provide_platform(settings: Settings) -> None:
    """Push the platform repository, from which the cluster reconciles itself."""
    flux.platform(
        name="Lay out the platform repository", settings=settings, files=platform_files(settings)
    )


@deploy("Flux")
def bootstrap_flux(settings: Settings) -> None:
    """Give the cluster Flux, and what it needs to reconcile itself from the platform repository."""
    kubernetes.manifests(
        name="Apply the controllers",
        settings=settings,
        path=f"{settings.manifests_dir}/components.yaml",
    )
    pinned = load_catalog(settings.catalog).version("openapi", "modules")
    kubernetes.served_api(
        name="Ask the cluster for its API",
        settings=settings,
        pinned=f"{settings.store}/openapi-{pinned}",
    )
    credentials = f"{settings.git_dir}/credentials/{FLUX}"
    kubernetes.secret(
        name="Give Flux its Git credentials",
        settings=settings,
        namespace=FLUX_NAMESPACE,
        secret="flux-system",
        entries={"username": f"{credentials}/username", "password": f"{credentials}/password"},
        labels={},
    )
    flux.receiver_token(name="Share a token with the Git server's hook", settings=settings)
    flux.decryption_key(
        name="Give the cluster the key sops-age", settings=settings, key=settings.learner.id
    )
    kubernetes.manifests(
        name="Apply the sources and Kustomizations",
        settings=settings,
        path=f"{settings.manifests_dir}/sync.yaml",
    )


def platform_files(settings: Settings) -> Tree:
    """Return the platform repository, without the components that `flux install` prints."""
    files = render_tree(
        PLATFORM,
        {
            "artifact_address": ARTIFACT_ADDRESS if settings.cluster_provider == "kind" else None,
            "environment": ENVIRONMENT,
            "git_url": settings.git_base_cluster_url,
            "kustomization": KUSTOMIZATION,
            "lab": settings.lab,
            "learner": settings.learner.model_dump(),
            "learner_repository": settings.learner_repository,
            "namespace": NAMESPACE,
            "receiver_name": RECEIVER,
            "receiver_port": RECEIVER_PORT,
        },
    )
    return {f"flux/{path}": file for path, file in files.items()}
