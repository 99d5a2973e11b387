"""A long session, which leaves the page as small as it was."""

from __future__ import annotations

import time
from dataclasses import dataclass

import pytest
from playwright.sync_api import Page

from sopslab.web import watcher
from tests.browser.classes import hundred, turned
from tests.browser.viewing import Tabs
from tests.unit.web.web_material import ALL, STUCK, Board, found


@dataclass(frozen=True)
class Size:
    """The objects that a page holds after garbage collection; the heap is in bytes."""

    nodes: int
    listeners: int
    documents: int
    heap: int


def size(page: Page) -> Size:
    """Return the size of a page."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    session.send("HeapProfiler.collectGarbage")
    metrics = session.send("Performance.getMetrics")["metrics"]
    held = {one["name"]: int(one["value"]) for one in metrics}
    session.detach()
    return Size(held["Nodes"], held["JSEventListeners"], held["Documents"], held["JSHeapUsedSize"])


def change(page: Page, board: Board, number: int, learners: int) -> None:
    """Make a learner done or stuck, in turns, and return when the page shows it."""
    like, standing = ((ALL, "done"), (STUCK, "stuck"))[number % 2]
    id = f"learner-{number // 2 % learners}"
    board.look.now = found(*turned(hundred()[:learners], id, like))
    page.locator(f"#r-{id}.{standing}").wait_for(state="attached")


def assert_no_larger(before: Size, after: Size) -> None:
    """Raise AssertionError if a page has grown by more than its present content explains."""
    assert after.documents <= before.documents
    assert after.listeners <= before.listeners
    assert after.nodes <= before.nodes * 1.1
    assert after.heap <= before.heap * 1.25


def test_three_hundred_changes_leave_nothing_behind(
    board: Board, tabs: Tabs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watcher, "EVERY_S", 0.05)
    monkeypatch.setattr(watcher, "_PAUSE_S", 0.01)
    page = tabs.open(board).page
    for number in range(50):
        change(page, board, number, 30)
    before = size(page)
    for number in range(50, 350):
        change(page, board, number, 30)

    assert_no_larger(before, size(page))


@pytest.mark.soak
def test_half_an_hour_leaves_nothing_behind(board: Board, tabs: Tabs) -> None:
    """The pace is that of a class: whenever the board looks, somebody has changed something."""
    page = tabs.open(board).page
    began, number, before = time.monotonic(), 0, None
    while time.monotonic() < began + 30 * 60:
        change(page, board, number, 100)
        number += 1
        if before is None and time.monotonic() > began + 5 * 60:
            before = size(page)
    assert before is not None

    assert_no_larger(before, size(page))
