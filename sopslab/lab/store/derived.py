"""A root file system of an image, pulled by digest, and of packages that its own apt adds from the
mirror that it names."""

from __future__ import annotations

from sopslab.config.places import Lab
from sopslab.lab.store.containers import Container, image_bench, pulled
from sopslab.model.recipes import DerivedPlan
from sopslab.model.store import Entry

# Through the proxy of this machine, if it has one.
_ENVIRONMENT = (
    *("--env", "DEBIAN_FRONTEND=noninteractive"),
    *("--env", "http_proxy", "--env", "https_proxy"),
)


def make(lab: Lab, plan: DerivedPlan, entry: Entry, reference: str) -> None:
    """Fill an entry of the store with a root file system.

    + reference: what Docker is asked for
    """
    with image_bench(lab) as place, pulled(place, reference):
        # It has a network, until it is exported.
        container = Container(place, reference)
        for command in (
            ["update", "-qq"],
            ["install", "-qq", "--yes", "--no-install-recommends", *plan.packages],
        ):
            container.run(
                "apt-get", *command, options=_ENVIRONMENT,
                otherwise=f"{entry.key} could not be made: do the Debian mirror that {reference}"
                " names, and names at all, answer in a container?",
            )  # fmt: skip
        container.run("rm", "-rf", "/var/cache/apt", "/var/lib/apt/lists")
        made = place.folder / "entry"
        made.mkdir()
        archive = made / "rootfs.tar"
        container.export(archive)
        archive.chmod(0o644)
        place.publish(made, entry)
