"""An image, pulled by digest and kept in the store, so that a pruned Docker is refilled from
there."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.store.containers import image_bench, pulled
from sopslab.model.recipes import PullPlan
from sopslab.model.store import Entry


def pull(lab: Lab, plan: PullPlan, entry: Entry, reference: str) -> None:
    """Fill an entry of the store with an image.

    + reference: what Docker is asked for
    """
    with image_bench(lab) as place, pulled(place, reference):
        made = place.folder / "entry"
        made.mkdir()
        archive = made / "image.tar"
        place.run("docker", "tag", reference, plan.keep_as)
        # With containerd's image store, all platforms of an image would be listed though only one
        # is there, which `ctr` refuses; without it, older clients do not know the option.
        knows = "--platform" in place.run("docker", "save", "--help")
        platform = ["--platform", f"linux/{entry.arch}"] if knows else []
        place.run("docker", "save", *platform, "--output", str(archive), plan.keep_as)
        place.run("docker", "rmi", plan.keep_as)
        archive.chmod(0o644)
        place.publish(made, entry)
