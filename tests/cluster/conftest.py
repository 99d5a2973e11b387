"""The lab of the cluster tests, beside whatever runs on this machine; removed at the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster.lab import Lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab that is up. Whatever a test breaks, the next test finds it whole again."""
    lab = Lab("lab-test", tmp_path_factory.mktemp("lab"), {})
    lab.remove()
    lab.up()
    yield lab
    lab.remove()


@pytest.fixture(autouse=True)
def _whole_again(request: pytest.FixtureRequest) -> Iterator[None]:
    if "lab" not in request.fixturenames:
        yield
        return
    lab: Lab = request.getfixturevalue("lab")
    head = lab.head()
    yield
    lab.reset_repository(head)
    lab.up()
