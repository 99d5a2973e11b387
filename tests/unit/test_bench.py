"""The bench's pure parts: what is compared, what is printed, and what README.md gets of it."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.bench import figures
from tests.bench.__main__ import compared
from tests.bench.classroom import against_flux_alone
from tests.bench.flux_alone import CANARY, arrivals, canary, learner_objects
from tests.bench.processor import Spent, usage

KEY, LOGIN = b"AGE-SECRET", {"username": b"flux", "password": b"word"}


def report() -> dict[str, Any]:
    return {
        "up_vs_by_hand": compared(
            [(Spent(18.04, 10), Spent(30, 20)), (Spent(24, 11), Spent(40, 20)),
             (Spent(20, 9), Spent(40, 18))]
        ),
        "second_up": {
            "processor": figures.spread([2.5, 2.51, 2.49], 2),
            "ratio": figures.spread([0.15]), "seconds": figures.spread([3.0, 5.9]), "changed": 0,
        },
        "push_to_secret": {"pushes": 20, "median": 0.4, "p95": 0.55, "min": 0.31, "max": 0.96},
        "class": {
            **against_flux_alone(Spent(18, 30), [Spent(9, 15), Spent(8, 20), Spent(12, 10)]),
            "learners_30_processor": 30.0, "learners_100_processor": 95.1,
            "ratio_100_to_30": 2.7, "learners_30": 18.0, "learners_100": 49.0,
            "second_run_100_processor": 4.0, "second_run_100": 4.9,
        },
        "clusters": {
            "learners_on_nodes": 30, "one_node": 20.0, "three_nodes": 23.0,
            "ratio_three_to_one": 1.15, "ratio_large_to_small": 3.1,
            "fake_nodes": 30, "fake_pods": 900, "small": {"learners": 100, "up": 50.0},
            "large": {"learners": 300, "up": 155.0, "up_processor": 280.0, "second_up": 12.4},
        },
        "policy": {"commit_of_20_seconds": 0.2, "push_of_1000_seconds": 2.1},
    }  # fmt: skip


def test_pairs_are_compared_one_by_one_and_the_range_is_kept() -> None:
    found = compared([(Spent(10, 5), Spent(20, 5)), (Spent(30, 8), Spent(40, 4))])
    assert found["ratio"] == {"median": 0.625, "range": [0.5, 0.75], "seen": [0.5, 0.75]}
    assert found["processor_ratio"]["seen"] == [1.0, 2.0]
    assert found["by_hand"] == {"median": 30.0, "range": [20.0, 40.0], "seen": [20.0, 40.0]}


def test_a_class_is_compared_with_flux_alone() -> None:
    found = report()["class"]
    assert found["vs_flux_alone"] == {"median": 2.0, "range": [1.5, 2.25], "seen": [2.0, 2.25, 1.5]}
    assert found["processor_vs_flux_alone"]["median"] == 2.0
    assert found["flux_alone"]["seconds"]["range"] == [8, 12]


def test_processor_seconds_and_ratios_come_before_seconds() -> None:
    printed = figures.lines(report())
    assert printed[0] == (
        "from nothing to the canary, store filled; the ratio is to the stock commands one after the"
        " other: processor seconds 10 (9 to 11) (by hand 20 (18 to 20)), ratio 0.5 (0.5 to 0.55) of"
        " processor seconds, 0.6 (0.5 to 0.601) of seconds, 20 (18 to 24) s (by hand 40 (30 to 40)"
        " s)"
    )
    assert any("ratio 2 (1.5 to 3) of processor seconds, 2 (1.5 to 2.25)" in one for one in printed)
    assert all(
        one.index("processor seconds") < one.rindex(" s") for one in printed if "processor" in one
    )


def test_many_nodes_are_compared_with_one_and_a_second_run_with_the_first() -> None:
    printed = "\n".join(figures.lines({"clusters": report()["clusters"]}))
    assert (
        "on three nodes that somebody made; the ratio is to the same on one: ratio 1.15" in printed
    )
    assert "with 900 fake pods, nothing to do: ratio 0.08, 12.4 s" in printed


def test_what_was_not_measured_is_left_out() -> None:
    assert figures.lines({}) == []
    assert len(figures.rows({"policy": report()["policy"]})) == 2


def test_readme_gets_the_table_between_its_marks_and_nothing_else_changes() -> None:
    text = f"before\n\n{figures.BEGIN}\nold | figures\n{figures.END}\n\nafter\n"
    new = figures.rewritten(text, report())
    assert new.startswith(f"before\n\n{figures.BEGIN}\n\n| what | processor seconds |")
    assert new.endswith(f"|\n\n{figures.END}\n\nafter\n")
    assert "old" not in new
    assert figures.rewritten(new, report()) == new
    rows = [line for line in new.splitlines() if line.startswith("|")]
    assert {line.count(" |") for line in rows} == {4}
    assert all(len(line.split(" | ")) <= 4 for line in rows)


@pytest.mark.parametrize(
    "text",
    ["nothing", figures.BEGIN, figures.END, f"{figures.END}{figures.BEGIN}",
     f"{figures.BEGIN}{figures.BEGIN}{figures.END}"],
)  # fmt: skip
def test_a_readme_without_its_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="are needed"):
        figures.rewritten(text, report())


def test_without_a_report_or_with_an_older_one_it_is_told_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"{figures.BEGIN}\n{figures.END}\n")
    monkeypatch.setattr(figures, "README", readme)
    monkeypatch.setattr(figures, "REPORT", tmp_path / "bench.json")
    assert figures.main() == 1
    assert "`make bench` makes it" in capsys.readouterr().err
    figures.REPORT.write_text(json.dumps({"up_vs_by_hand": {"median": 0.57}}))
    assert figures.main() == 1
    assert "it is an older one" in capsys.readouterr().err
    figures.REPORT.write_text(json.dumps(report()))
    assert figures.main() == 0
    assert "a class of 100" in readme.read_text()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("usage_usec 1500000\nuser_usec 1000000\n", 1.5),
        ("2500000000\n", 2.5),
        ("usage_usec 1500000\n2500000000\n", 1.5),
        ("", 0.0),
        ("cat: no such file\n", 0.0),
    ],
)
def test_a_containers_processor_seconds_are_read_from_either_cgroup(
    text: str, seconds: float
) -> None:
    assert usage(text) == seconds


def test_a_learner_by_hand_is_no_more_than_flux_needs() -> None:
    found = list(learner_objects("hand-000", "http://lab-git:8080", KEY, LOGIN))
    names = [(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
             for one in found]  # fmt: skip
    assert len(set(names)) == len(names)
    assert [kind for kind, _, _ in names] == [
        "Namespace", "Namespace", "ServiceAccount", "RoleBinding", "Secret", "Secret",
        "GitRepository", "Kustomization",
    ]  # fmt: skip
    by_kind = {one["kind"]: one for one in found}
    source, kustomization = by_kind["GitRepository"]["spec"], by_kind["Kustomization"]["spec"]
    assert source["url"] == "http://lab-git:8080/hand-000/lab.git"
    assert kustomization["targetNamespace"] == canary("hand-000")["metadata"]["namespace"]
    secrets = {one["metadata"]["name"]: one["data"] for one in found if one["kind"] == "Secret"}
    assert base64.b64decode(secrets["sops-age"]["age.agekey"]) == KEY
    assert set(secrets) == {"sops-age", source["secretRef"]["name"]}
    assert yaml.safe_load(json.dumps(found)) == found


def test_it_has_arrived_when_each_learner_has_the_value_of_their_own() -> None:
    value = {one: canary(one)["data"]["value"] for one in ("a", "b")}
    assert canary("a")["metadata"] == {"name": CANARY, "namespace": "a-develop"}
    lines = [f"a-develop {value['a']}\n", f"b-develop {value['a']}\n", "c-develop x\n"]
    assert arrivals(lines, ["a", "b"]) == {"b"}
    endless = iter([*lines, f"b-develop {value['b']}\n", "not read"])
    assert arrivals(endless, ["a", "b"]) == set()
    assert next(endless) == "not read"
    assert arrivals([], []) == set()
