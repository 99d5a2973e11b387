"""The step that provides every tool and image of the lab, each pinned and verified."""

from __future__ import annotations

from sopslab.artifacts.catalog import Catalog, Thing, pinned_catalog
from sopslab.config.settings import Settings
from sopslab.model.steps import Step
from sopslab.model.store import Source
from sopslab.provision.deploys import step
from sopslab.provision.operations import artifact


@step(Step.ARTIFACTS)
def provide_artifacts(settings: Settings) -> None:
    """Fill the store, assemble the images from it and link the tools."""
    catalog = pinned_catalog(settings.catalog)
    told = settings.artifact_source
    source: Source | None = None if told == "auto" or told == "bundle" else told
    artifact.source(name="Choose the source", settings=settings, catalog=catalog)
    if source != "upstream":
        artifact.toolchain(name="Provide a Go toolchain", settings=settings, catalog=catalog)
    artifact.head_start(name="Begin the root file systems", settings=settings, catalog=catalog)
    for thing in catalog.things(source):
        artifact.entries(
            name=_label(catalog, thing), settings=settings, catalog=catalog, thing=thing
        )
    if catalog.git_image is not None:
        artifact.image(
            name="Assemble the Git server's image", settings=settings, catalog=catalog, role="git"
        )
    if catalog.node_image:
        artifact.image(
            name="Assemble the node image", settings=settings, catalog=catalog, role="node"
        )
    artifact.links(name="Link the tools", settings=settings, catalog=catalog)
    artifact.cache(name="Remove the build caches", settings=settings, catalog=catalog)


def _label(catalog: Catalog, thing: Thing) -> str:
    """Return what a display says while a thing is being made."""
    version = {name: catalog.version(name, thing.sources[0]) for name in catalog.versions}
    match thing.kind:
        case "build":
            fills = catalog.builds[thing.name].fills
            return "Build " + ", ".join(f"{name} {version[name]}" for name in fills)
        case "folder" | "manifests":
            return f"Take {thing.name} {version[thing.name]} from its module"
        case "release":
            return f"Fetch {thing.name} {version[thing.name]}"
        case "pull":
            return f"Pull the image of {thing.name} {version[thing.name]}"
        case "rootfs":
            return f"Make {thing.name} from Debian packages"
        case "derived":
            return f"Make {thing.name} from an image"
