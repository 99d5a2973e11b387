"""The pages of a class of a hundred, as a browser shows them on a desk, a wall and a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import expect

from tests.browser.classes import COMMAND, GROUPS, LOUD, NAMES, SENTENCE
from tests.browser.viewing import Tabs
from tests.unit.web.web_material import STUCK, Board, Look, found, row, seat, serving

PHONE: dict[str, Any] = {"width": 390, "height": 844, "is_mobile": True, "has_touch": True}
WALL: dict[str, Any] = {"width": 1920, "height": 1080}
DARK: dict[str, Any] = {"color_scheme": "dark"}


def test_every_learner_of_a_hundred_has_a_row(tabs: Tabs, closed: Board) -> None:
    tab = tabs.open(closed)
    tab.live()

    expect(tab.page.locator("#learners tbody tr")).to_have_count(100)
    expect(tab.page.locator("#counts")).to_contain_text("34 done")
    expect(tab.page.get_by_role("rowheader", name="Zoë Lindström").first).to_be_visible()
    expect(
        tab.page.get_by_text("The Kustomization secrets-develop is suspended").first
    ).to_be_visible()
    expect(tab.page.locator("#lab + .parts")).to_contain_text("kind-lab: running")


def test_what_others_wrote_does_nothing_in_a_browser(tabs: Tabs, closed: Board) -> None:
    """Every test asserts of its tabs that they request nothing elsewhere and report no error."""
    tab = tabs.open(closed)
    tab.live()
    tab.page.get_by_text("onmouseover").hover()

    expect(tab.page).to_have_title("lab: the class")
    expect(tab.page.locator("script")).to_have_count(1)
    expect(tab.page.locator("img, #board i *, #board bdi *, #board b *")).to_have_count(0)
    expect(tab.page.locator(f"#r-learner-{LOUD} .w")).to_contain_text(SENTENCE)
    for text in (NAMES[1], NAMES[2], COMMAND):
        expect(tab.page.get_by_text(text, exact=True).first).to_be_visible()


@pytest.mark.parametrize(
    ("path", "screen"),
    [
        ("", {"width": 1280}),
        ("", {"width": 800}),
        ("", PHONE),
        ("", PHONE | {"width": 320}),
        ("?projector", WALL),
        ("?projector", {"width": 1024}),
        ("?projector", PHONE),
    ],
)
def test_nothing_is_wider_than_the_screen(
    tabs: Tabs, closed: Board, path: str, screen: dict[str, Any]
) -> None:
    """Only a table may be wider; it has its own scroll bar then."""
    tab = tabs.open(closed, path, **screen)
    tab.live()
    widths = tab.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")

    assert widths == [screen["width"], screen["width"]]


@pytest.mark.parametrize("screen", [PHONE, PHONE | {"width": 320}])
def test_on_a_phone_all_of_a_row_is_on_the_screen(
    tabs: Tabs, closed: Board, screen: dict[str, Any]
) -> None:
    tab = tabs.open(closed, **screen)
    tab.live()
    # Measure all boxes in one call: an event may replace the row between two calls.
    shown = tab.page.locator(f"#r-learner-{LOUD} :is(th, td:not(.k), code, button)")
    boxes = shown.evaluate_all("found => found.map(one => one.getBoundingClientRect().toJSON())")
    assert boxes
    for box in boxes:
        assert box["width"] > 0 and box["left"] >= 0
        assert box["right"] <= screen["width"]


@pytest.mark.parametrize(
    ("path", "screen"),
    [
        ("", {}),
        ("", DARK),
        ("", PHONE),
        ("", PHONE | DARK),
        ("?projector", WALL),
        ("?projector", WALL | DARK),
    ],
    ids=["desk", "desk-dark", "phone", "phone-dark", "wall", "wall-dark"],
)
def test_axe_finds_nothing(tabs: Tabs, closed: Board, path: str, screen: dict[str, Any]) -> None:
    tab = tabs.open(closed, path, **screen)
    tab.live()

    assert tab.inaccessible() == []


def test_a_class_of_36_is_on_a_wall_at_once(tabs: Tabs) -> None:
    """Nobody scrolls on a wall."""
    rows = [row(STUCK, seat(f"seat-{number:02}", f"Ada {number}")) for number in range(36)]
    with serving(Look(found(*rows))) as board:
        tab = tabs.open(board, "?projector", width=1280, height=720)
        expect(tab.page.get_by_role("rowheader", name="seat-35")).to_be_in_viewport(ratio=1)
        expect(tab.page.get_by_role("rowheader", name="seat-11")).to_be_in_viewport(ratio=1)


def test_dark_is_dark_where_that_is_wished_for(tabs: Tabs, closed: Board) -> None:
    expect(tabs.open(closed).page.locator("body")).to_have_css(
        "background-color", "rgb(255, 255, 255)"
    )
    expect(tabs.open(closed, **DARK).page.locator("body")).to_have_css(
        "background-color", "rgb(22, 22, 26)"
    )


def test_a_group_is_chosen_by_its_link(tabs: Tabs, closed: Board) -> None:
    tab = tabs.open(closed)
    tab.page.get_by_role("link", name=GROUPS[2], exact=True).click()

    expect(tab.page.locator("#learners tbody tr")).to_have_count(25)
    expect(tab.page.locator("nav [aria-current=page]")).to_have_text(GROUPS[2])
    tab.page.get_by_role("link", name="everybody").click()
    expect(tab.page.locator("#learners tbody tr")).to_have_count(100)


def test_on_a_wall_nobody_is_exposed(tabs: Tabs, closed: Board) -> None:
    tab = tabs.open(closed, **WALL)
    tab.page.get_by_role("link", name="for the projector").click()
    expect(tab.page.locator("#learners tbody tr")).to_have_count(100)
    shown = tab.page.content()

    # A learner who shares initials with somebody is shown by id.
    expect(tab.page.get_by_role("rowheader", name="learner-0", exact=True)).to_be_visible()
    for secret in ("Lovelace", "Lindström", "reversed", STUCK.next, STUCK.fix, "never-ending"):
        assert secret not in shown
    expect(tab.page.locator("#board :is(button, code, .s)")).to_have_count(0)
    size = tab.page.locator("#learners th").first.evaluate("it => getComputedStyle(it).fontSize")
    assert float(size.removesuffix("px")) >= 20
