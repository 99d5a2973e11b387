"""A page that is open while the class, the browser or the board changes."""

from __future__ import annotations

import multiprocessing
import re
import socket
import threading
import time
from collections.abc import Sequence
from multiprocessing.process import BaseProcess

from playwright.sync_api import Page, expect

from sopslab.checks.board.steps import Row
from sopslab.config.job import free_port
from sopslab.lab.tools.waiting import wait_until
from tests.browser.classes import asking, hundred, turned
from tests.browser.viewing import Tabs
from tests.unit.web.web_material import ALL, Board, Look, found, serving

SECONDS = 3


def become(board: Board, rows: Sequence[Row]) -> float:
    """Set the class from now on, and return the present time."""
    board.look.now = found(*rows)
    return time.monotonic()


def wait_for(page: Page, selector: str) -> None:
    """Return as soon as the page has such an element."""
    page.locator(selector).wait_for(state="attached")


def viewers(board: Board) -> int:
    """Return the number of open streams."""
    return board.server.hub._viewers


def test_a_push_turns_a_cell_within_three_seconds(board: Board, tabs: Tabs) -> None:
    tab = tabs.open(board)
    assert wait_until(lambda: viewers(board) == 1, 10, 0.02)
    wait_for(tab.page, "#r-learner-1.working td.n:nth-of-type(5)")
    began = become(board, turned(hundred(), "learner-1", ALL))
    wait_for(tab.page, "#r-learner-1.done td.y:nth-of-type(5)")
    took = time.monotonic() - began

    assert took < SECONDS
    assert len([url for url in tab.asked if "/events" not in url]) == len(set(tab.asked)) - 1
    expect(tab.page.locator("#said")).to_contain_text("35 done")


def test_who_asks_for_help_is_marked_and_goes_first(board: Board, tabs: Tabs) -> None:
    tab = tabs.open(board)
    first = tab.page.locator("#learners tbody tr").first
    expect(first).to_have_id("r-learner-2")
    become(board, asking(hundred(), "learner-9", time.time()))

    expect(first).to_have_id("r-learner-9")
    expect(first).to_contain_text("asks for help")
    expect(tab.page.locator("#counts")).to_contain_text("1 asks for help")
    become(board, asking(hundred(), "learner-9", None))
    expect(first).to_have_id("r-learner-2")


def test_six_tabs_of_a_browser_are_all_told(board: Board, tabs: Tabs) -> None:
    """A browser opens six connections to one server. Three of them stay free for other pages."""
    context = tabs.context()
    paths = ("", "?projector", "?group=table+1", "", "?projector", "")
    opened = [tabs.open(board, path, context) for path in paths]
    assert wait_until(lambda: viewers(board) == 3, 10, 0.02)
    become(board, turned(hundred(), "learner-4", ALL))
    for tab in opened:
        expect(tab.page.locator("#counts")).to_contain_text(re.compile("35 done|10 done"))
    opened[0].page.reload()
    opened[3].page.get_by_role("link", name="table 1").click()
    expect(opened[3].page.locator("#learners tbody tr")).to_have_count(25)
    assert wait_until(lambda: viewers(board) == 3, 10, 0.02)


def test_a_page_that_was_not_left_after_all_goes_on(board: Board, tabs: Tabs) -> None:
    tab = tabs.open(board)
    assert wait_until(lambda: viewers(board) == 1, 10, 0.02)
    tab.page.evaluate("window.dispatchEvent(new Event('beforeunload'))")
    assert wait_until(lambda: viewers(board) == 0, 10, 0.02)
    assert wait_until(lambda: viewers(board) == 1, 20, 0.02)


def test_a_tab_that_is_hidden_asks_for_nothing(board: Board, tabs: Tabs) -> None:
    tab = tabs.open(board)
    assert wait_until(lambda: viewers(board) == 1, 10, 0.02)
    # Under Playwright every page is visible at all times.
    tab.page.evaluate(
        "Object.defineProperty(document, 'hidden', {get: () => window.covered});"
        "window.covered = true; document.dispatchEvent(new Event('visibilitychange'))"
    )
    assert wait_until(lambda: viewers(board) == 0, 10, 0.02)
    become(board, turned(hundred(), "learner-1", ALL))
    tab.page.evaluate(
        "window.covered = false; document.dispatchEvent(new Event('visibilitychange'))"
    )
    wait_for(tab.page, "#r-learner-1.done")


def test_who_goes_away_and_comes_back_sees_the_class_as_it_is(board: Board, tabs: Tabs) -> None:
    tab = tabs.open(board)
    assert wait_until(lambda: viewers(board) == 1, 10, 0.02)
    tab.page.goto("about:blank")
    assert wait_until(lambda: viewers(board) == 0, 10, 0.02)
    become(board, turned(hundred(), "learner-1", ALL))
    tab.page.go_back()
    wait_for(tab.page, "#r-learner-1.done")


def test_without_javascript_the_page_loads_itself_anew(board: Board, tabs: Tabs) -> None:
    tab = tabs.open(board, java_script_enabled=False)
    expect(tab.page.locator("#learners tbody tr")).to_have_count(100)
    expect(tab.page.locator("button").first).to_be_hidden()
    become(board, turned(hundred(), "learner-1", ALL))
    wait_for(tab.page, "#r-learner-1.done")

    assert not any("/events" in url for url in tab.asked)


def serve(port: int, rows: Sequence[Row]) -> None:
    """Serve a class until this process is killed."""
    with serving(Look(found(*rows)), port=port):
        threading.Event().wait()


def started(port: int, rows: Sequence[Row]) -> BaseProcess:
    """Return a process that serves a class, once it answers."""
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(port, rows))
    process.start()
    assert wait_until(lambda: _answers(port), 60, 0.02)
    return process


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def killed(process: BaseProcess) -> None:
    """Kill a process and wait for its end."""
    process.kill()
    process.join()


def test_open_tabs_go_on_with_a_board_that_was_killed_and_is_back(tabs: Tabs) -> None:
    port = free_port()
    first = started(port, hundred())
    try:
        opened = [tabs.open(port), tabs.open(port, "?projector")]
        for tab in opened:
            expect(tab.page.locator("#learners tbody tr")).to_have_count(100)
    finally:
        killed(first)
    for tab in opened:
        expect(tab.page.get_by_role("status")).to_contain_text("The board does not answer.")
        expect(tab.page.locator("#learners tbody tr")).to_have_count(100)
    second = started(port, turned(hundred(), "learner-1", ALL))
    try:
        for tab in opened:
            expect(tab.page.locator("#counts")).to_contain_text("35 done")
            expect(tab.page.get_by_role("status")).to_be_empty()
    finally:
        killed(second)
    for tab in opened:
        expect(tab.page.get_by_role("status")).to_contain_text("The board does not answer.")
        tab.complaints = [one for one in tab.complaints if "net::ERR_" not in one]
