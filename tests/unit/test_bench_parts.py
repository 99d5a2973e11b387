"""The parts of the bench yield what its figures and its page are made from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from tests.bench import classroom, clusters, report, up
from tests.bench.figures import rows, spread
from tests.bench.page import page
from tests.bench.processor import Spent
from tests.bench.products import Product
from tests.bench.profile import Profile
from tests.cluster.lab import Lab

NOW = Product("now", "abc", "/now/bin/sopslab")
BEFORE = Product("before", "def", "/before/bin/sopslab", "base")


def spent(seconds: float) -> Spent:
    profile = Profile(seconds, {"": seconds}, {("", "node", "etcd"): seconds}, {("node", ""): 9.0})
    return Spent(seconds, seconds, profile)


@contextmanager
def begun(lab: Any) -> Iterator[Any]:
    lab = MagicMock(folder=lab.folder, git_server="git")
    lab.node = "node"
    yield MagicMock(lab=lab)


def up_with(_classroom: Any, learners: int, containers: dict[str, str]) -> tuple[Spent, int]:
    assert "git" in containers
    return spent(learners), 0


def found_by(parts: Iterator[dict[str, Any]]) -> dict[str, Any]:
    part: dict[str, Any] = {}
    for one in parts:
        part = report.added(part, one)
        # The page can be made after each of them, while the others are still missing.
        page(report.together({"part": part}), {})
    return report.together({"part": part})


def test_a_class_is_measured_for_each_product_and_flux_alone_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    board = {"viewers": 20, "cores": 0.1, "push_to_page": spread([1.0]), "page_kib": 9.0}
    monkeypatch.setattr(classroom, "begun", begun)
    monkeypatch.setattr(classroom, "up_with", up_with)
    monkeypatch.setattr(classroom, "node_memory", lambda _: 800.0)
    monkeypatch.setattr(classroom, "measure_board", lambda *_: board)
    monkeypatch.setattr(classroom, "measure_flux_alone", lambda *_: [spent(10), spent(20)])
    found = found_by(classroom.measure_class(tmp_path, [NOW, BEFORE]))
    assert len(rows(found)) == len(rows(found["base"])) == 4
    assert found["class"]["vs_flux_alone"]["seen"] == [3.0, 1.5]
    assert found["class"]["ratio_100_to_30"] == 3.33
    assert "flux_alone" not in found["base"]["class"]
    runs = {work: list(profiles) for work, profiles in found["profiles"].items()}
    assert runs == {
        "class_30": ["Flux alone", "now", "before"],
        **{work: ["now", "before"] for work in ("class_100", "second_100", "one_more")},
    }


def test_a_lab_is_measured_in_turn_with_the_work_by_hand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[str] = []

    def by_hand(_lab: Lab, _work: Path) -> Spent:
        turns.append("hand")
        return spent(4)

    def up_from_nothing(lab: Lab) -> Spent:
        turns.append(lab.program)
        return spent(2)

    monkeypatch.setattr(up, "_round_by_hand", by_hand)
    monkeypatch.setattr(up, "_up_from_nothing", up_from_nothing)
    monkeypatch.setattr(up, "_on_a_lab", lambda product, _, first: iter([{product.name: first}]))
    monkeypatch.setattr(up, "remove_by_hand", lambda: turns.append("removed"))
    monkeypatch.setattr(Lab, "made", MagicMock())
    found = found_by(up.measure_up(tmp_path, [NOW, BEFORE]))
    assert turns == [*("hand", NOW.program, BEFORE.program) * up.PAIRS, "removed"]
    for own in (found, found["base"]):
        assert own["up_vs_by_hand"]["ratio"]["seen"] == [0.5] * up.PAIRS
    assert list(found["profiles"]["up"]) == ["now", "before", "by hand"]
    assert (found["now"], found["before"]) == (2, 2)


def test_many_nodes_are_measured_beside_one_and_classes_among_fakes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def hand_made(_name: str, folder: Path, *, workers: int) -> Iterator[Any]:
        with begun(MagicMock(folder=folder)) as made:
            yield made.lab

    @contextmanager
    def fakes(_lab: Any) -> Iterator[None]:
        yield

    monkeypatch.setattr(clusters, "hand_made_lab", hand_made)
    monkeypatch.setattr(clusters, "begun", begun)
    monkeypatch.setattr(clusters, "fake_nodes", fakes)
    monkeypatch.setattr(clusters, "_make_pods", lambda *_: None)
    monkeypatch.setattr(clusters, "up_with", up_with)
    found = found_by(clusters.measure_clusters(tmp_path, [NOW]))
    assert len(rows(found)) == 3
    assert found["clusters"]["ratio_large_to_small"] == 3.0
