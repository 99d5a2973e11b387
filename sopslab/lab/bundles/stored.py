"""What a store holds all of, to be packed for other machines."""

from __future__ import annotations

from collections.abc import Sequence

from sopslab import __version__
from sopslab.artifacts.catalog import SOURCES, Catalog
from sopslab.config.places import Lab
from sopslab.errors import Exit, LabError
from sopslab.lab.bundles.writing import Contents
from sopslab.lab.observe.store import store_state


def stored(lab: Lab, catalog: Catalog, pythons: Sequence[str]) -> Contents:
    """Return every tool and image of the first source that the store has all of.

    Raises LabError where it is not full.

    + pythons: the versions of Python that the product is for, there
    """
    store = store_state(lab, images=[])
    for source in SOURCES:
        entries = catalog.entries(source, store.arch)
        if entries and not any(store.fault(entry) for entry in entries.values()):
            return Contents(
                __version__, catalog.digest, source, store.arch, tuple(entries.values()),
                tuple(pythons),
            )  # fmt: skip
    raise LabError(f"the store {lab.store} is not full: run `sopslab fetch`", Exit.ARTIFACTS)
