"""One Chromium for all tests, and a browser window of its own for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.browser.classes import hundred
from tests.browser.viewing import Tabs, chromium
from tests.unit.web.web_material import Board, Look, found, serving


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The distribution's Chromium."""
    with chromium() as running:
        yield running


@pytest.fixture
def tabs(browser: Browser) -> Iterator[Tabs]:
    """Return a `Tabs`; at the end, check that no tab has left the board or reported an error.

    A test names its board before this fixture, so that the tabs are closed before the board is.
    """
    opened = Tabs(browser)
    yield opened
    opened.close()
    assert [url for tab in opened.all for url in tab.asked_elsewhere()] == []
    assert [said for tab in opened.all for said in tab.complaints] == []


@pytest.fixture(scope="session")
def closed() -> Iterator[Board]:
    """A board of a class of a hundred, shared by tests that change nothing."""
    with serving(Look(found(*hundred()))) as board:
        yield board


@pytest.fixture
def board() -> Iterator[Board]:
    """A board of a class of a hundred."""
    with serving(Look(found(*hundred()))) as board:
        yield board
