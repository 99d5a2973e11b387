"""The pages of the board: what they show, what they keep to themselves, and how large they are."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from typing_extensions import override

from sopslab.checks.board import history
from sopslab.checks.board.steps import STEPS, Row
from sopslab.lab.parts import Part
from sopslab.model.progress import Change
from sopslab.web.pages import FOLDER, Pages, Variant
from sopslab.web.state import State
from tests.unit.web.web_material import ALL, FRESH, PARTS, STUCK, found, row, saying, seat

NOW = 1_764_430_000.0
DESK, WALL = Variant(), Variant(projector=True)
# An element, an attribute, reversed text, a cleared screen, another line, and marks of templates.
HOSTILE = (
    "</td><script>alert(1)</script>\" onload='x' \u202eevil\u2066 \x1b[2J\n&amp; {{ 1 }} #{ 1 }#"
)


def state(*rows: Row, changes: Sequence[Change] = (), parts: Sequence[Part] = PARTS) -> State:
    """Return the state of the board once it has seen these rows."""
    known = changes or history.changed({}, rows, NOW - 600)
    return State(
        "v-1",
        NOW,
        found(*rows, parts=parts),
        NOW,
        begun=history.beginning(known, NOW),
        changes=known,
        latest=history.latest(known),
    )


def page(shown: State, variant: Variant = DESK) -> str:
    """Return a page."""
    return Pages("lab").page(shown, variant)


class Outline(HTMLParser):
    """The structure of a page: tags with their attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of every tag with this name."""
        return [attributes for name, attributes in self.tags if name == tag]


def test_a_row_says_who_how_since_when_and_what_helps() -> None:
    text = page(state(row(STUCK, seat("ada", "Ada Lovelace", "table 1"))))
    (line,) = re.findall(r'<tr id="r-ada".*?</tr>', text, re.S)

    assert 'class="stuck"' in line
    assert '<th scope="row"><bdi>Ada Lovelace</bdi> <small>ada</small></th>' in line
    assert "<bdi>table 1</bdi>" in line
    assert re.search(r'<b>stuck</b> <time datetime="[-0-9T:]+Z">10 min</time>', line)
    cells = re.findall(r'<td class="(.)"><i>([a-z ]+)</i></td>', line)
    assert cells == [("y", "done")] * 6 + [("s", "stuck"), ("u", "not known")]
    assert "The Kustomization secrets-develop is suspended" in line
    command = "flux --namespace lab-ada-sys resume kustomization secrets-develop"
    assert f'<code id="c-ada">{command}</code><button type="button" data-copy="c-ada"' in line
    assert "<svg" in line


@pytest.mark.parametrize(
    ("minutes", "shown"),
    [
        (0, "0 min"),
        (59.9, "59 min"),
        (60, "1 h 0 min"),
        (23 * 60 + 59, "23 h 59 min"),
        (49 * 60, "2 d"),
    ],
)
def test_how_long_is_in_words(minutes: float, shown: str) -> None:
    rows = [row(STUCK, seat("ada"))]
    changes = history.changed({}, rows, NOW - minutes * 60)

    assert f">{shown}</time>" in page(state(*rows, changes=changes))


def test_who_asks_for_help_is_first_and_marked() -> None:
    text = page(state(row(STUCK, seat("bob")), row(ALL, seat("ada"), asked=NOW - 60)))

    assert re.findall(r'<tr id="r-(\w+)" class="([a-z ]+)"', text) == [
        ("ada", "done asks"),
        ("bob", "stuck"),
    ]
    assert text.count("asks for help</b>") == 1


def test_counts_are_on_top() -> None:
    rows = [row(like, seat(f"s-{n}")) for n, like in enumerate([ALL, ALL, STUCK, FRESH])]
    rows[3] = replace(rows[3], asked=NOW)
    text = page(state(*rows))

    assert re.findall(r'<li class="(\w+)"><b>(\d)</b>', text) == [
        ("done", "2"),
        ("working", "1"),
        ("stuck", "1"),
        ("asks", "1"),
    ]


def test_a_group_is_a_page_of_its_own_with_its_own_counts() -> None:
    rows = [
        row(STUCK, seat("ada", group="a & b")),
        row(ALL, seat("bob", group="c")),
        row(ALL, seat("eve")),
    ]
    whole, part = page(state(*rows)), page(state(*rows), Variant("a & b"))

    assert [one["href"] for one in Outline(whole).all("a")][1:] == [
        "./",
        "./?group=a+%26+b",
        "./?group=c",
        "./?projector=",
    ]
    assert re.findall(r'<tr id="r-(\w+)"', part) == ["ada"]
    assert "<b>0</b> done" in part
    assert [one["href"] for one in Outline(part).all("a") if "aria-current" in one] == [
        "./?group=a+%26+b"
    ]
    (main,) = Outline(part).all("main")
    assert main["data-events"] == "events?group=a+%26+b"


@pytest.mark.parametrize("group", ["", "nobody's", pytest.param(HOSTILE, id="hostile")])
def test_a_group_of_nobody_is_an_empty_page_that_is_not_kept(group: str) -> None:
    pages, shown = Pages("lab"), state(row(ALL, seat("ada", group="a")))
    text = pages.page(shown, Variant(group))

    assert "Nobody is in this group." in text
    assert "<script>alert" not in text
    assert pages._made == {}


def test_a_class_of_nobody_has_the_labs_parts() -> None:
    text = page(state())

    assert "Nobody has a seat here." in text
    assert "kind-lab: running" in text


def test_a_part_that_is_not_up_is_said_without_colour() -> None:
    parts = (PARTS[0], Part("git", False, "exited", "http://lab/x"))
    desk, wall = page(state(parts=parts)), page(state(parts=parts), WALL)

    assert '<li class="n"><i>not up</i> <b>git</b> http://lab/x: exited</li>' in desk
    assert "of the lab not up: git" in wall
    assert "the lab is up" in page(state(), WALL)


# What others wrote


@pytest.mark.parametrize("variant", [DESK, WALL, Variant(HOSTILE), Variant(HOSTILE, True)])
def test_what_others_wrote_is_text_and_nothing_else(variant: Variant) -> None:
    plain = saying(seat("ada", "Ada", "a"), "found", "command")
    loud = saying(
        seat("ada").model_copy(update={"name": HOSTILE, "group": HOSTILE}), HOSTILE, HOSTILE
    )
    part = Part("git", False, HOSTILE, HOSTILE)
    shown = replace(state(loud, parts=[part]), trouble=HOSTILE)
    calm = replace(state(plain, parts=[replace(part, state="x", where="y")]), trouble="z")
    group = None if variant.group is None else "a"
    hostile, harmless = (
        Outline(page(shown, variant)),
        Outline(page(calm, replace(variant, group=group))),
    )

    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in harmless.tags]
    names = [sorted(attributes) for _, attributes in hostile.tags]
    assert names == [sorted(attributes) for _, attributes in harmless.tags]
    assert not re.search("[\u202a-\u202e\u2066-\u2069\x1b]", page(shown, variant))


def test_a_sentence_is_cut_and_a_command_never() -> None:
    text = page(state(saying(seat("ada"), "word " * 900, "echo " + "x" * 400)))

    assert "word …" in text
    assert len(text) < 8000
    assert '<code id="c-ada">sopslab doctor ada</code>' in text


# On a wall


def test_on_a_wall_nobody_is_exposed() -> None:
    rows = [
        row(STUCK, seat("ada", "Ada Lovelace", "table 1"), asked=NOW - 60),
        row(ALL, seat("bob", "Bob Kahn", "table 1")),
        row(FRESH, seat("zoe", "Zoë Lindström", "table 2")),
    ]
    text = page(state(*rows), WALL)

    assert re.findall(r"<bdi>([^<]+)</bdi></th>", text) == ["AL", "BK", "ZL"]
    for secret in ("Lovelace", "Kahn", "Zoë", "suspended", "resume", "asks for help</b>", "<time"):
        assert secret not in text
    cells = re.findall(r'<td class="(.)"><i>([a-z ]+)</i></td>', text)
    assert len(cells) == 3 * len(STEPS)
    assert "stuck" not in {word for _, word in cells}
    assert "<button" not in text
    assert "<b>1</b> stuck" in text


def test_on_a_wall_the_order_is_the_rosters() -> None:
    rows = [row(ALL, seat("b", "Bob B")), row(STUCK, seat("a", "Ada A"))]

    assert re.findall(r"<bdi>(\w+)</bdi></th>", page(state(*rows), WALL)) == ["BB", "AA"]


def test_on_a_wall_a_large_class_is_in_tables_side_by_side() -> None:
    rows = [row(ALL, seat(f"seat-{n}")) for n in range(61)]
    outline = Outline(page(state(*rows), WALL))

    assert len(outline.all("table")) == 3
    assert len(outline.all("tr")) == 61 + 3
    assert len(Outline(page(state(*rows[:12]), WALL)).all("table")) == 1


# For everybody


@pytest.mark.parametrize("variant", [DESK, WALL])
def test_nothing_is_asked_of_elsewhere_and_nothing_is_inline(variant: Variant) -> None:
    text = page(state(row(STUCK, seat("ada"))), variant)
    outline = Outline(text)
    addresses = [
        value
        for _, attributes in outline.tags
        for name, value in attributes.items()
        if name in ("href", "src", "action", "data-events", "data-main")
    ]

    assert addresses
    assert [one for one in addresses if re.match(r"(?!data:,$)[a-z]+:|//", one or "")] == []
    assert [one for _, attributes in outline.tags for one in attributes if one == "style"] == []
    assert [one for _, attributes in outline.tags for one in attributes if one[:2] == "on"] == []
    assert len(outline.all("script")) == 1
    assert outline.all("style") == outline.all("form") == []


def test_without_a_script_the_page_is_asked_for_again() -> None:
    text = page(state(row(STUCK, seat("ada"))))

    assert '<noscript><meta http-equiv="refresh" content="5"></noscript>' in text
    assert "button {\n  display: none;" in (FOLDER / "board.css").read_text()


@pytest.mark.parametrize("variant", [DESK, WALL])
def test_a_table_says_what_its_cells_are(variant: Variant) -> None:
    outline = Outline(page(state(row(STUCK, seat("ada", group="a"))), variant))
    scopes = [one.get("scope") for one in outline.all("th")]
    (html,) = outline.all("html")
    ids = [one["id"] for _, one in outline.tags if "id" in one]

    assert html["lang"] == "en"
    assert None not in scopes
    assert scopes.count("row") == 1
    assert len(outline.all("caption")) == 1
    assert len(ids) == len(set(ids))
    assert outline.all("a")[0]["href"] == "#board"
    assert [one["aria-live"] for _, one in outline.tags if "aria-live" in one] == ["polite"]
    assert all(one["aria-hidden"] == "true" for one in outline.all("svg"))


def test_a_page_of_a_hundred_is_small() -> None:
    """A third is done, a third at work and a third stuck, after a lesson of eight hours."""
    rows = [
        row((ALL, FRESH, STUCK)[n % 3], seat(f"learner-{n}", f"Ada Lovelace {n}", f"table {n % 9}"))
        for n in range(100)
    ]
    chance = random.Random(7)
    changes = history.changed({}, rows, NOW - 8 * 3600)
    changes += [
        Change(
            NOW - chance.random() * 8 * 3600,
            chance.choice(rows).seat.id,
            chance.choice(STEPS),
            chance.choice(["yes", "no"]),
        )
        for _ in range(20_000)
    ]
    shown = state(*rows, changes=sorted(changes, key=lambda one: one.at))

    assert len(page(shown).encode()) <= 100 * 1024
    assert len(page(shown, WALL).encode()) <= 100 * 1024


def test_a_page_is_made_once_for_a_state() -> None:
    pages, shown = Pages("lab"), state(row(ALL, seat("ada")))
    first = pages.main(shown, Variant())

    assert pages.main(replace(shown, found=None), Variant()) is first
    assert pages.main(replace(shown, found=None, version="v-2"), Variant()) != first
