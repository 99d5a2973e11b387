"""What the tests of deploys share."""

from __future__ import annotations

import functools
from collections.abc import Iterator

import pytest

from sopslab.artifacts import catalog
from tasks import artifacts, cluster, flux, git, learners
from tests import machines


@pytest.fixture(scope="session", autouse=True)
def one_catalog() -> Iterator[None]:
    """Read the catalog once: a deploy asks for it a dozen times, and it does not change here."""
    known = functools.cache(catalog.load_catalog)
    with pytest.MonkeyPatch.context() as patch:
        for module in (artifacts, cluster, flux, git, learners, machines):
            patch.setattr(module, "load_catalog", known)
        yield
