"""What people see of the bench: its page, the flames on it, and the picture in the docs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from tests.bench import picture
from tests.bench.blocks import FIGURES, GROWTH, Block
from tests.bench.docs import README
from tests.bench.figures import spread
from tests.bench.flame import drawn, flame
from tests.bench.growth_table import COLUMNS, growth_table, read_table
from tests.bench.page import page, title_of
from tests.bench.plot import PANELS, plot, step_of
from tests.bench.profile import OURS, Profile

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = "<script>alert(1)</script>"


def profile(**seconds: float) -> Profile:
    spent = {
        ("Host", OURS, "sopslab"): 1.0,
        ("Flux", "node", "etcd"): 2.0,
        ("Flux", "node", "kubelet"): 4.0,
        ("Flux", OURS, "kubectl"): 3.0,
        **{("Flux", "node", name): value for name, value in seconds.items()},
    }
    return Profile(20.0, {"Host": 5.0, "Flux": 15.0}, spent, {("node", ""): 800.0})


def boxes(svg: str) -> list[tuple[str, int, float, float]]:
    """Return title, row, left and width of each box of a flame."""
    return [
        (
            one.findtext("title", "").partition(":")[0],
            int(one.attrib["y"]),
            float(one.attrib["x"].rstrip("%")),
            float(one.attrib["width"].rstrip("%")),
        )
        for one in ElementTree.fromstring(svg).findall("svg")
    ]


def test_a_flame_has_steps_in_their_order_and_in_them_the_largest_first() -> None:
    found = boxes(drawn(flame("up", profile(), ["node", OURS]), 10))
    assert [(name, left, width) for name, _, left, width in found] == [
        ("up", 0, 100),
        ("Host", 0, 10), (OURS, 0, 10), ("sopslab", 0, 10),
        ("Flux", 10, 90), ("node", 10, 60), ("kubelet", 10, 40), ("etcd", 50, 20),
        (OURS, 70, 30), ("kubectl", 70, 30),
    ]  # fmt: skip
    assert len({row for _, row, _, _ in found}) == 4


def test_what_is_too_narrow_is_left_out_and_work_without_steps_has_none() -> None:
    found = boxes(drawn(flame("up", profile(brief=0.001), ["node", OURS]), 10))
    assert "brief" not in [name for name, *_ in found]
    plain = Profile(1.0, {"": 1.0}, {("", "node", "etcd"): 1.0})
    assert [name for name, *_ in boxes(drawn(flame("by hand", plain, ["node"]), 1))] == [
        "by hand", "node", "etcd",
    ]  # fmt: skip
    assert len(boxes(drawn(flame("nothing", Profile(), []), 1))) == 0


def test_flames_of_two_runs_are_on_one_scale() -> None:
    (_, _, _, width), *_ = boxes(drawn(flame("up", profile(), ["node", OURS]), 40))
    assert width == 25


def whole() -> tuple[dict[str, Any], dict[str, Any]]:
    second = {"processor": spread([2.5], 2), "ratio": spread([0.15]), "seconds": spread([3.0])}
    earlier = {**second, "processor": spread([7.25], 2)}
    runs = {"now": profile().as_dict(), "by hand": profile(**{HOSTILE: 9.0}).as_dict()}
    report = {"second_up": second, "base": {"second_up": earlier}, "profiles": {"up": runs}}
    part = {"at": "2026-01-01", "commit": "abc", "base": "def", "seconds": 90, "problem": HOSTILE}
    return report, {"up": part}


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    text = page(*whole())
    assert not re.search(r"(src|href)=|@import|url\(|<script", text)
    assert text.count("&lt;script&gt;") >= 3
    assert "prefers-color-scheme: dark" in text and 'name="viewport"' in text
    assert text.count("<svg class=") == 2


def test_the_page_has_each_run_beside_the_others_and_what_was_before() -> None:
    text = page(*whole())
    assert re.search(r"<td>node: kubelet</td><td>4.00</td><td></td><td>4.00</td>", text)
    assert re.search(r"<td>Flux</td><td>15.00</td><td>9.00</td><td>15.00</td><td>18.00</td>", text)
    assert re.search(r"<td>processor seconds</td><td>10.0</td><td>19.0</td>", text)
    assert re.search(r"second run[^/]*</td><td>2.5</td>.*?<td>7.25</td>", text)
    assert "processor seconds before" not in page({"second_up": whole()[0]["second_up"]}, {})


def test_a_group_has_the_same_colour_wherever_it_is() -> None:
    report, parts = whole()
    ours = Profile(1.0, {"": 1.0}, {("", OURS, "git"): 1.0}).as_dict()
    report["profiles"] = {"second_up": {"now": ours}, **report["profiles"]}
    keys = re.findall(r'<span class="key (\w+)"></span>our processes', page(report, parts))
    # Each profile is drawn by processor seconds and by memory. The node is only where it has
    # worked.
    assert len(keys) == 4 and len(set(keys)) == 1
    assert page(report, parts).count("</span>node<") == 1


def test_all_that_is_measured_has_a_title() -> None:
    assert title_of("growth_300") == "A class of 300, as it grows"
    assert title_of("idle_10") == "A class of 10, and nothing is done"
    assert title_of("up") == "From nothing to the canary"


def test_a_page_of_nothing_is_a_page() -> None:
    assert "<h2>" not in page({}, {})


SIZES = [
    dict.fromkeys(COLUMNS, 0.0) | {"learners": learners, "up_processor": learners * 2.5}
    for learners in (10, 30, 100)
]


def test_the_picture_is_made_of_what_the_table_says() -> None:
    text = growth_table({"sizes": SIZES, "limit": {"learners": 300, "why": "no room"}})
    assert "With 300 learners" in text and "no room" in text
    assert read_table(text) == SIZES
    root = ElementTree.fromstring(plot(read_table(text)))
    assert len(root.findall(f".//{SVG}circle")) == len(SIZES) * len(PANELS)
    assert "prefers-color-scheme: dark" in plot(SIZES)


def test_points_are_where_their_numbers_are() -> None:
    root = ElementTree.fromstring(plot(SIZES))
    first, second, third = root.findall(f".//{SVG}g")[0].findall(f"{SVG}circle")
    across = [float(one.attrib["cx"]) for one in (first, second, third)]
    height = [float(one.attrib["cy"]) for one in (first, second, third)]
    for seen in (across, height):
        assert (seen[2] - seen[0]) / (seen[1] - seen[0]) == pytest.approx(90 / 20, rel=0.02)
    assert height[0] > height[2]


def test_a_table_of_other_columns_is_refused_and_none_is_no_picture() -> None:
    with pytest.raises(ValueError, match="nothing measures: weight"):
        read_table("| weight |\n| --- |\n| 1 |\n")
    assert read_table("not measured yet") == []
    ElementTree.fromstring(plot([]))


@pytest.mark.parametrize("highest", [0.003, 1, 2.9, 3, 6, 14.9, 15, 299, 300, 1218])
def test_an_axis_has_a_few_round_marks(highest: float) -> None:
    step = step_of(highest)
    assert 3 <= highest / step < 7.5
    assert f"{step:e}"[0] in "125"


def test_an_axis_of_nothing_has_marks_too() -> None:
    assert step_of(0) == 1


@pytest.mark.parametrize(("path", "block"), [(README, FIGURES), (picture.PAGE, GROWTH)])
def test_each_page_has_a_place_for_what_is_measured(path: Path, block: Block) -> None:
    block.read(path.read_text())


def test_the_picture_in_the_docs_is_of_the_table_beside_it(tmp_path: Path) -> None:
    picture.draw(picture.PAGE, tmp_path / "growth.svg")
    kept, drawn_now = (
        [path.read_text() for path in folder.glob("growth.svg")]
        for folder in (picture.PICTURE.parent, tmp_path)
    )
    assert kept == drawn_now
