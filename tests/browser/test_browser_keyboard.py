"""The board without a mouse, and what can be copied from it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import expect

from tests.browser.classes import COMMAND, GROUPS, LOUD, hundred, turned
from tests.browser.viewing import Tabs
from tests.unit.web.web_material import ALL, STUCK, Board, found

CLIPBOARD: dict[str, Any] = {"permissions": ["clipboard-read", "clipboard-write"]}


def test_the_first_key_leads_past_the_links(tabs: Tabs, closed: Board) -> None:
    tab = tabs.open(closed)
    tab.live()
    skip = tab.page.get_by_role("link", name="To the learners")
    tab.page.keyboard.press("Tab")
    expect(skip).to_be_focused()
    expect(skip).to_be_in_viewport(ratio=1)
    tab.page.keyboard.press("Enter")

    expect(tab.page.locator("main")).to_be_focused()


def test_groups_are_reached_and_chosen_by_keys(tabs: Tabs, closed: Board) -> None:
    tab = tabs.open(closed)
    tab.live()
    for name in ("To the learners", "everybody", GROUPS[3], GROUPS[2]):
        tab.page.keyboard.press("Tab")
        expect(tab.page.get_by_role("link", name=name, exact=True)).to_be_focused()
    outline = tab.page.locator(":focus").evaluate("it => getComputedStyle(it).outlineStyle")
    tab.page.keyboard.press("Enter")

    assert outline == "solid"
    expect(tab.page.locator("#learners tbody tr")).to_have_count(25)


def test_a_command_is_copied_by_keys(tabs: Tabs, closed: Board) -> None:
    tab = tabs.open(closed, **CLIPBOARD)
    tab.live()
    button = tab.page.get_by_role("button", name=f"Copy the command for learner-{LOUD}")
    button.focus()
    tab.page.keyboard.press("Enter")
    expect(tab.page.locator("#said")).to_have_text("Copied.")

    assert tab.page.evaluate("navigator.clipboard.readText()") == COMMAND


def test_where_nothing_may_be_copied_the_command_is_selected(tabs: Tabs, closed: Board) -> None:
    context = tabs.context()
    # As on a board that is served over the network without a trusted certificate.
    context.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    tab = tabs.open(closed, context=context)
    tab.live()
    tab.page.locator(f"[data-copy=c-learner-{LOUD}]").click()
    expect(tab.page.locator("#said")).to_contain_text("copy it with the keyboard")

    assert tab.page.evaluate("getSelection().toString()") == COMMAND


def test_what_has_the_focus_keeps_it_while_the_page_changes(board: Board, tabs: Tabs) -> None:
    tab = tabs.open(board)
    tab.live()
    places = (
        tab.page.locator("[data-copy=c-learner-8]"),
        tab.page.get_by_role("link", name=GROUPS[0], exact=True),
        tab.page.locator("main"),
    )
    for like, place in zip((ALL, STUCK, ALL), places, strict=True):
        place.focus()
        board.look.now = found(*turned(hundred(), "learner-1", like))
        standing = "done" if like is ALL else "stuck"
        expect(tab.page.locator("#r-learner-1")).to_have_class(standing)
        expect(place).to_be_focused()
