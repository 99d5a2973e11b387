"""A folder copied out of a Go module, verified by our go.sum."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.store.bench import bench
from sopslab.lab.store.go import Go
from sopslab.lab.store.trees import copy_tree
from sopslab.model.recipes import FolderPlan, GoSources
from sopslab.model.store import Entry


def copy(lab: Lab, plan: FolderPlan, entry: Entry, sources: GoSources) -> None:
    """Fill an entry of the store with a folder."""
    with bench(lab, "go") as place:
        go = Go(place, sources)
        module = go.module(plan.module)
        made = place.folder / "entry"
        copy_tree(go.folder_of(plan.package, module) / plan.path, made / "files")
        place.publish(made, entry)
