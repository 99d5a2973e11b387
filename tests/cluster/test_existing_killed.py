"""A class on a cluster that somebody made by hand, whose `up` and `down` are killed on the way."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from sopslab.config.inputs import CLASSROOM
from sopslab.lab.observe.brought import brought
from sopslab.lab.observe.ownership import lab_id
from tests.cluster.classroom import SEATS, Classroom, write_roster
from tests.cluster.content import await_content, content, kubectl
from tests.cluster.hand_made import hand_made_lab
from tests.cluster.interruption import kill_in
from tests.cluster.lab import Lab, lab_name
from tests.cluster.namesake import leave, namesake, refusals

pytestmark = [pytest.mark.soak, pytest.mark.hand_made]

# The operations of `up` in which a run is killed, one run after the other, and after how many
# seconds: before the cluster is on record, while pods probe its nodes, while certificates are
# tried, between the platform repository and what is made from it, in the middle of making that, and
# before access is given.
UP = (
    ("Take the context", 0.0),
    ("Ask the nodes", 3.0),
    ("Choose what learners log in with", 0.5),
    ("Lay out the platform repository", 1.0),
    ("Apply the controllers", 1.5),
    ("Apply the sources and Kustomizations", 0.5),
    ("Issue the access", 0.5),
    ("Wait for Flux to decrypt", 1.0),
)
# After how many seconds `down` is killed: while Flux removes what it applied, and while namespaces
# go.
DOWN = (2.0, 4.0)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab on a cluster of one node."""
    folder = tmp_path_factory.mktemp("killed")
    with hand_made_lab(lab_name("killed"), folder, workers=0) as made:
        yield made


@pytest.fixture(scope="module")
def before(shared: Lab) -> dict[str, str]:
    """What the cluster held before the class."""
    return content(shared)


def test_whenever_it_is_killed_the_next_up_completes_and_another_changes_nothing(
    shared: Lab, before: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert before
    classroom = Classroom(shared)
    roster = write_roster(shared.folder / "roster.yaml", SEATS)
    monkeypatch.setenv("SOPSLAB_ROSTER", str(roster))
    known = set()
    for operation, seconds in UP:
        assert kill_in(shared, tmp_path, "deploy.py", operation, seconds, inventory=CLASSROOM)
        known.add(lab_id(shared.settings.for_machine))
    # The first run was killed before the lab had an id; then the lab got one, and kept it.
    assert len(known - {None}) == 1
    classroom.up()
    for seat in SEATS:
        own = classroom.kubectl_as(seat, "get", "secret", "lab-canary", "--output", "name")
        assert own.stdout.strip() == "secret/lab-canary"
    answer = classroom.up()
    assert (answer["changed"], shared.changes(answer)) == (0, [])


def standing(shared: Lab, found: Mapping[str, Sequence[str]]) -> set[str]:
    """Return which of these objects, given by resource, are there and are not being deleted."""
    form = "jsonpath={range .items[*]}{.metadata.name} {.metadata.deletionTimestamp}{'\\n'}{end}"
    there = set()
    for kind, names in found.items():
        for line in kubectl(shared, "get", kind, "--output", form).splitlines():
            name, *ending = line.split()
            if name in names and not ending:
                there.add(f"{kind}/{name}")
    return there


def test_a_down_that_was_killed_is_gone_on_with_and_nobody_else_takes_what_is_left(
    shared: Lab, before: dict[str, str], tmp_path: Path
) -> None:
    other = namesake(shared, tmp_path)
    machine = shared.settings.for_machine
    for seconds in DOWN:
        assert kill_in(
            shared, tmp_path, "deploys/teardown.py", "Take Flux and the environments out", seconds
        )
        left = brought(machine)
        assert isinstance(left, dict)
        assert left
        # The cluster goes on with what is being deleted already.
        stays = standing(shared, left)
        assert refusals(other, list(SEATS))
        leave(other)
        assert standing(shared, left) == stays
    assert json.loads(shared.sopslab("down", "--json").stdout)["ok"]
    await_content(shared, before)
    again = json.loads(shared.sopslab("down", "--json").stdout)
    assert (again["ok"], again["changed"]) == (True, 0)
