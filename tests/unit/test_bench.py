"""The bench: what it compares, prints and keeps, and what README.md gets from it."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from sopslab.layout import PROJECT
from tests.bench import __main__ as bench
from tests.bench import docs, figures, growth, picture, products, report
from tests.bench.blocks import FIGURES, GROWTH, Block
from tests.bench.classroom import against_flux_alone
from tests.bench.flux_alone import CANARY, arrivals, canary, learner_objects
from tests.bench.growth_table import COLUMNS
from tests.bench.processor import Spent
from tests.bench.products import Product, earlier
from tests.bench.up import beside, compared, steps_of
from tests.cluster.lab import run

KEY, LOGIN = b"AGE-SECRET", {"username": b"flux", "password": b"word"}


def found() -> dict[str, Any]:
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
    pairs = compared([(Spent(10, 5), Spent(20, 5)), (Spent(30, 8), Spent(40, 4))])
    assert pairs["ratio"] == {"median": 0.625, "range": [0.5, 0.75], "seen": [0.5, 0.75]}
    assert pairs["processor_ratio"]["seen"] == [1.0, 2.0]
    assert pairs["by_hand"] == {"median": 30.0, "range": [20.0, 40.0], "seen": [20.0, 40.0]}


def test_a_class_is_compared_with_flux_alone() -> None:
    taken = found()["class"]
    assert taken["vs_flux_alone"] == {"median": 2.0, "range": [1.5, 2.25], "seen": [2.0, 2.25, 1.5]}
    assert taken["processor_vs_flux_alone"]["median"] == 2.0
    assert taken["flux_alone"]["seconds"]["range"] == [8, 12]


def test_processor_seconds_and_ratios_come_before_seconds() -> None:
    printed = figures.lines(found())
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
    printed = "\n".join(figures.lines({"clusters": found()["clusters"]}))
    assert (
        "on three nodes that somebody made; the ratio is to the same on one: ratio 1.15" in printed
    )
    assert "with 900 fake pods, nothing to do: ratio 0.08, 12.4 s" in printed


def test_what_was_not_measured_is_left_out() -> None:
    assert figures.lines({}) == []
    assert len(figures.rows({"policy": found()["policy"]})) == 2


def test_a_class_of_which_only_some_was_measured_has_rows_of_that() -> None:
    taken = found()["class"]
    small = {"learners_30_processor": 30.0, "learners_30": 18.0}
    assert [row[1:] for row in figures.rows({"class": small})] == [("30.0", "", "18.0 s")]
    without_second = {key: taken[key] for key in taken if not key.startswith("second_run")}
    assert len(figures.rows({"class": without_second})) == 2
    clusters = found()["clusters"]
    nodes = {
        key: clusters[key] for key in ("learners_on_nodes", "ratio_three_to_one", "three_nodes")
    }
    assert len(figures.rows({"clusters": nodes})) == 1


def test_readme_gets_the_table_between_its_marks_and_nothing_else_changes() -> None:
    text = f"before\n\n{FIGURES.begin}\nold | figures\n{FIGURES.end}\n\nafter\n"
    new = FIGURES.rewritten(text, figures.table(found()))
    assert new.startswith(f"before\n\n{FIGURES.begin}\n\n| what | processor seconds |")
    assert new.endswith(f"|\n\n{FIGURES.end}\n\nafter\n")
    assert "old" not in new
    assert FIGURES.rewritten(new, figures.table(found())) == new
    rows = [line for line in new.splitlines() if line.startswith("|")]
    assert {line.count(" |") for line in rows} == {4}
    assert all(len(line.split(" | ")) <= 4 for line in rows)


@pytest.mark.parametrize(
    "text",
    ["nothing", FIGURES.begin, FIGURES.end, f"{FIGURES.end}{FIGURES.begin}",
     f"{FIGURES.begin}{FIGURES.begin}{FIGURES.end}", f"{GROWTH.begin}{GROWTH.end}"],
)  # fmt: skip
def test_a_page_without_its_marks_is_left_alone(text: str) -> None:
    with pytest.raises(ValueError, match="are needed"):
        FIGURES.rewritten(text, "new")


STAMP = {"at": "2026-01-01T00:00+00:00", "commit": "older", "seconds": 60}


def page_with(path: Path, block: Block) -> Path:
    path.write_text(f"{block.begin}\n{block.end}\n")
    return path


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Pages without figures, which get those of a report that does not exist yet."""
    monkeypatch.setattr(docs, "README", page_with(tmp_path / "README.md", FIGURES))
    monkeypatch.setattr(picture, "PAGE", page_with(tmp_path / "instructors.md", GROWTH))
    monkeypatch.setattr(picture, "PICTURE", tmp_path / "growth.svg")
    monkeypatch.setattr(report, "REPORT", tmp_path / "bench.json")
    return tmp_path


def test_without_a_report_or_with_an_older_one_it_is_told_what_to_do(
    pages: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert docs.main() == 1
    assert "`make bench` makes it" in capsys.readouterr().err
    (pages / "bench.json").write_text(json.dumps({"up_vs_by_hand": {"median": 0.57}}))
    assert docs.main() == 1
    assert "it is an older one" in capsys.readouterr().err
    report.save({"class": report.added(STAMP, found())}, pages / "bench.json")
    assert docs.main() == 0
    assert "a class of 100" in (pages / "README.md").read_text()
    assert (pages / "instructors.md").read_text() == f"{GROWTH.begin}\n{GROWTH.end}\n"
    (pages / "README.md").write_text("another\n")
    assert docs.main() == 1
    assert "README.md: one line" in capsys.readouterr().err


def test_how_cost_grows_is_put_into_the_docs_with_its_picture(pages: Path) -> None:
    size = dict.fromkeys(COLUMNS, 1.5) | {"learners": 10}
    grown = {"growth": {"sizes": [size], "limit": {"learners": 30, "why": "no room"}}}
    report.save({"growth": report.added(STAMP, grown)}, pages / "bench.json")
    assert docs.main() == 0
    assert "| 10 | 1.5 |" in (pages / "instructors.md").read_text()
    assert "<circle" in (pages / "growth.svg").read_text()


def test_what_is_found_is_added_to_what_was_and_replaces_its_like() -> None:
    part = report.added({"at": "now"}, {"class": {"a": 1, "b": 1}, "profiles": {"up": {"now": 1}}})
    part = report.added(part, {"class": {"b": 2}, "profiles": {"up": {"by hand": 2}}})
    assert report.together({"x": part, "y": {"found": {"policy": 3}}, "z": {}}) == {
        "class": {"a": 1, "b": 2}, "profiles": {"up": {"now": 1, "by hand": 2}}, "policy": 3,
    }  # fmt: skip
    assert part["at"] == "now"


NOW = Product("now", "abc", "/now/bin/sopslab")
BEFORE = Product("before", "def", "/before/bin/sopslab", "base")


def failing(folder: Path, products: Sequence[Product]) -> Iterator[dict[str, Any]]:
    assert folder.is_dir()
    for product in products:
        yield product.figures({"steps": {product.commit: 1}})
        yield beside("up", {product.name: Spent(1, 1).profile})
    kept = report.load(report.REPORT)["policy"]
    assert kept["found"]["base"] == {"steps": {"def": 1}}, "it was not written at once"
    raise AssertionError("the class did not come up\nand a log of it")


def test_a_part_that_fails_keeps_what_it_found_and_costs_the_others_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    kept = tmp_path / "build" / "bench.json"
    monkeypatch.setattr(report, "REPORT", kept)
    monkeypatch.setitem(bench.PARTS, "policy", failing)
    others = {"class": STAMP, "policy": report.added(STAMP, {"steps": {"stale": 1}})}
    parts = bench.measure("policy", tmp_path, [NOW, BEFORE], others)
    assert "the class did not come up" in capsys.readouterr().err
    assert report.load(kept) == parts
    assert parts["class"] == STAMP
    assert parts["policy"]["problem"] == "AssertionError: the class did not come up"
    assert (parts["policy"]["commit"], parts["policy"]["base"]) == ("abc", "def")
    assert parts["policy"]["found"]["steps"] == {"abc": 1}
    assert set(parts["policy"]["found"]["profiles"]["up"]) == {"now", "before"}
    assert "the class did not come up" in kept.with_suffix(".html").read_text()


def test_parts_are_chosen_by_name_and_no_other_word_is_taken(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert bench.parser().parse_args([]).part == []
    chosen = bench.parser().parse_args(["--base", "HEAD^", "class", "growth"])
    assert (chosen.part, chosen.base) == (["class", "growth"], "HEAD^")
    with pytest.raises(SystemExit):
        bench.parser().parse_args(["everything"])
    assert "growth" in capsys.readouterr().err


def test_a_base_that_is_no_commit_is_refused_before_anything_is_made() -> None:
    with pytest.raises(AssertionError, match="BASE=no-such-thing is no commit"):
        earlier("no-such-thing")


def test_an_earlier_product_has_an_environment_of_its_own_wherever_this_one_has_its(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `make` would do is asked of it, in what stands for a worktree."""
    made: list[str] = []

    def dry(argv: list[str], cwd: Path | None = None, **_: Any) -> subprocess.CompletedProcess[str]:
        if argv[0] == "make":
            asked = run(["make", "--dry-run", *argv[1:]], cwd=cwd)
            made.extend(asked.stdout.splitlines())
            return asked
        return subprocess.CompletedProcess(argv, 0, f"{'5' * 40}\n", "")

    worktree = tmp_path / ("5" * 12)
    worktree.mkdir()
    for pattern in ("Makefile", "pyproject.toml", "setup.py", "requirements*.txt"):
        for file in PROJECT.glob(pattern):
            shutil.copy(file, worktree)
    monkeypatch.setattr(products, "_WORKTREES", tmp_path)
    monkeypatch.setattr(products, "run", dry)
    monkeypatch.setenv("SOPSLAB_VENV", "/var/tmp/of-this-checkout")

    product = earlier("HEAD")

    assert product.program == f"{worktree}/.venv/bin/sopslab"
    assert any(line.endswith("-m venv .venv") for line in made)
    assert not any("of-this-checkout" in line for line in made)


def test_each_product_has_labs_and_an_interpreter_of_its_own(tmp_path: Path) -> None:
    now, before = (product.lab("bench", tmp_path) for product in (NOW, BEFORE))
    assert now.name != before.name and now.file != before.file
    assert (now.program, before.program) == (NOW.program, BEFORE.program)
    assert BEFORE.python == "/before/bin/python"


def test_steps_are_those_of_the_run() -> None:
    answer = {"steps": [{"name": "Host", "seconds": 1.5, "changed": 0}]}
    assert steps_of(answer) == [("Host", 1.5)]


def test_a_class_grows_until_a_run_does_not_end_well_and_what_was_found_before_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def of_size(
        product: Product, folder: Path, learners: int, sizes: list[dict[str, Any]]
    ) -> Iterator[dict[str, Any]]:
        asked.append(learners)
        if learners == 100:
            raise AssertionError("sopslab up: exit 12\nand its log")
        sizes.append({"learners": learners})
        yield product.figures({"growth": {"sizes": list(sizes)}})

    monkeypatch.setattr(growth, "_of_size", of_size)
    part: dict[str, Any] = {}
    for one in growth.measure_growth(tmp_path, [NOW]):
        part = report.added(part, one)
    assert asked == [10, 30, 100]
    assert report.together({"growth": part})["growth"] == {
        "sizes": [{"learners": 10}, {"learners": 30}],
        "limit": {"learners": 100, "why": "sopslab up: exit 12"},
    }


def test_what_went_wrong_is_told_in_one_line_that_ends() -> None:
    assert growth.shortened("one\ntwo") == "one"
    assert growth.shortened("") == ""
    assert len(growth.shortened("x" * 900)) == 300


def test_a_learner_by_hand_is_no_more_than_flux_needs() -> None:
    objects = list(learner_objects("hand-000", "http://lab-git:8080", KEY, LOGIN))
    names = [(one["kind"], one["metadata"].get("namespace", ""), one["metadata"]["name"])
             for one in objects]  # fmt: skip
    assert len(set(names)) == len(names)
    assert [kind for kind, _, _ in names] == [
        "Namespace", "Namespace", "ServiceAccount", "RoleBinding", "Secret", "Secret",
        "GitRepository", "Kustomization",
    ]  # fmt: skip
    by_kind = {one["kind"]: one for one in objects}
    source, kustomization = by_kind["GitRepository"]["spec"], by_kind["Kustomization"]["spec"]
    assert source["url"] == "http://lab-git:8080/hand-000/lab.git"
    assert kustomization["targetNamespace"] == canary("hand-000")["metadata"]["namespace"]
    secrets = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "Secret"}
    assert base64.b64decode(secrets["sops-age"]["age.agekey"]) == KEY
    assert set(secrets) == {"sops-age", source["secretRef"]["name"]}
    assert yaml.safe_load(json.dumps(objects)) == objects


def test_it_has_arrived_when_each_learner_has_the_value_of_their_own() -> None:
    value = {one: canary(one)["data"]["value"] for one in ("a", "b")}
    assert canary("a")["metadata"] == {"name": CANARY, "namespace": "a-develop"}
    lines = [f"a-develop {value['a']}\n", f"b-develop {value['a']}\n", "c-develop x\n"]
    assert arrivals(lines, ["a", "b"]) == {"b"}
    endless = iter([*lines, f"b-develop {value['b']}\n", "not read"])
    assert arrivals(endless, ["a", "b"]) == set()
    assert next(endless) == "not read"
    assert arrivals([], []) == set()
