"""A lab that a released version made, brought up by this version: what is in it works."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sopslab import __version__
from sopslab.checks.takeover import FORMAT
from sopslab.lab.observe.formats import lab_format
from sopslab.model.formats import Format
from tests import kept_labs
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.lab import Lab

pytestmark = pytest.mark.soak


@pytest.fixture(scope="module", params=kept_labs.versions())
def taken(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Classroom]:
    """A kept lab, unpacked and not yet up."""
    folder = tmp_path_factory.mktemp("kept")
    lab = Lab(kept_labs.NAME, folder, {"git_port": kept_labs.PORT})
    lab.remove()
    try:
        kept_labs.unpack(lab.settings, request.param)
        yield Classroom(lab)
    finally:
        lab.remove()


def heads(taken: Classroom) -> dict[str, str]:
    """Return the commit of main of each learner's repository."""
    return {"learner": taken.lab.head(), **{seat: taken.head(seat) for seat in SEATS}}


def test_a_kept_lab_comes_up_with_its_keys_repositories_and_canary(
    taken: Classroom, tmp_path: Path
) -> None:
    lab, ids = taken.lab, (*SEATS, taken.lab.settings.learner.id)
    keys = {path.name: path.read_bytes() for path in Path(lab.settings.keys_dir).iterdir()}
    had = heads(taken)
    made = lab_format(lab.settings.for_machine)
    assert made is not None

    changes = lab.changes(taken.up())

    for number in range(made.number, FORMAT):
        assert any(f"format {number} becomes format {number + 1}" in each for each in changes)
    assert lab_format(lab.settings.for_machine) == Format(FORMAT, __version__)
    assert {path.name: path.read_bytes() for path in Path(lab.settings.keys_dir).iterdir()} == keys
    assert heads(taken) == had
    assert all(lab.recipient(key) for key in (*ids, "instructor"))
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected
    for seat in SEATS:
        taken.kubectl_as(seat, "get", "pods")
    assert taken.up()["changed"] == 0


def test_a_cluster_is_replaced_when_that_is_said_and_nothing_else_changes(
    taken: Classroom, tmp_path: Path
) -> None:
    lab = taken.lab
    node = Path(lab.settings.lab_dir, "node-id").read_text()
    taken.push(taken.clone("ada", tmp_path))
    recipient, had = lab.recipient(), heads(taken)
    assert taken.up()["changed"] == 0
    assert Path(lab.settings.lab_dir, "node-id").read_text() == node

    changes = lab.changes(taken.up("--recreate"))

    assert any("the cluster is replaced" in change for change in changes), changes
    assert Path(lab.settings.lab_dir, "node-id").read_text() != node
    assert (lab.recipient(), heads(taken)) == (recipient, had)
    expected, live = lab.canary_digests(tmp_path)
    assert live == expected
    for seat in SEATS:
        taken.kubectl_as(seat, "get", "pods")
    assert taken.up()["changed"] == 0
