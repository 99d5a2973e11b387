"""The manifests that the flux command embeds, made as its release makes them with
manifests/scripts/bundle.sh; where that fetches a controller's release files, the controller's own
module has what they are made from."""

from __future__ import annotations

import re
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.lab.store.bench import Bench, bench
from sopslab.lab.store.go import Go
from sopslab.lab.store.trees import copy_tree
from sopslab.model.recipes import GoSources, ManifestsPlan
from sopslab.model.store import Entry

_RELEASE_FILE = re.compile(r"^- https://.*\.(crds|deployment)\.yaml$", re.MULTILINE)


def make(lab: Lab, plan: ManifestsPlan, entry: Entry, sources: GoSources) -> None:
    """Fill an entry of the store with manifests."""
    with bench(lab, "go") as place:
        go = Go(place, sources)
        made = place.folder / "entry"
        for name in ("manifests", "crds"):
            (made / name).mkdir(parents=True)
        kubectl = place.store / plan.kubectl
        flux = go.folder_of(plan.package, go.module(plan.module)) / "manifests"
        for name, part in plan.controllers.items():
            controller = go.folder_of(part.package, go.module(part.module))
            base = place.folder / "bases" / name
            copy_tree(flux / "bases" / name, base)
            _build(place, kubectl, controller / "config" / "crd", base / "crds.yaml")
            _build(place, kubectl, controller / "config" / "manager", base / "deployment.yaml")
            listing = base / "kustomization.yaml"
            listing.write_text(_RELEASE_FILE.sub(r"- \1.yaml", listing.read_text()))
            _build(place, kubectl, base, made / "manifests" / f"{name}.yaml")
            (base / "crds.yaml").rename(made / "crds" / f"{name}.yaml")
        for name in ("rbac", "policies"):
            _build(place, kubectl, flux / name, made / "manifests" / f"{name}.yaml")
        place.publish(made, entry)


def _build(place: Bench, kubectl: Path, source: Path, to: Path) -> None:
    with to.open("wb") as file:
        place.run(str(kubectl), "kustomize", str(source), to=file)
