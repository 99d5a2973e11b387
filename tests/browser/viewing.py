"""Chromium, and tabs that record their requests and their errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect, sync_playwright

from tests.conftest import find_tool
from tests.unit.web.web_material import TOKEN, Board

# On a busy machine, a browser starts slowly. Tests of speed measure the time themselves.
_PATIENCE_MS = 60_000
_OWN = rf"http://127\.0\.0\.1:[0-9]+/{TOKEN}/|about:blank$|data:,$"


@contextmanager
def chromium() -> Iterator[Browser]:
    """Run the distribution's Chromium, and end it."""
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        # Root and most containers have no sandbox. The browser opens nothing but what the tests
        # serve on loopback.
        browser = playwright.chromium.launch(
            executable_path=find_tool("chromium"),
            chromium_sandbox=False,
            args=["--disable-gpu"],
            timeout=_PATIENCE_MS,
        )
        yield browser
        browser.close()


def url(port: int, path: str = "") -> str:
    """Return the URL of a page of a board."""
    return f"http://127.0.0.1:{port}/{TOKEN}/{path}"


@dataclass
class Tab:
    """A tab, the addresses that it requested, and the errors of its console."""

    page: Page
    asked: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._asked)
        self.page.on("console", lambda told: self._complained(told.type, told.text))
        self.page.on("pageerror", lambda error: self._complained("error", str(error)))

    def _asked(self, request: Request) -> None:
        self.asked.append(request.url)

    def _complained(self, kind: str, text: str) -> None:
        if kind in ("error", "warning"):
            self.complaints.append(text)

    def asked_elsewhere(self) -> list[str]:
        """Return the addresses that this tab requested and that are not a board's."""
        return [one for one in self.asked if not re.match(_OWN, one)]

    def live(self) -> None:
        """Return as soon as the page's script updates the page."""
        self.page.wait_for_selector("html.js", state="attached")

    def inaccessible(self) -> list[str]:
        """Return the problems that axe finds, one line each, with the first element concerned."""
        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {one['help']}: {one['nodes'][0]['html'][:200]}" for one in found]


class Tabs:
    """Opens tabs, each in a browser context of its own or several in one."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.all: list[Tab] = []

    def context(self, width: int = 1280, height: int = 900, **options: Any) -> BrowserContext:
        """Return a browser context without history or cookies."""
        made = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        made.set_default_timeout(_PATIENCE_MS)
        self._contexts.append(made)
        return made

    def open(
        self,
        board: Board | int,
        path: str = "",
        context: BrowserContext | None = None,
        **options: Any,
    ) -> Tab:
        """Return a tab with a page of a board, in the given browser context or in a new one."""
        context = context or self.context(**options)
        tab = Tab(context.new_page())
        self.all.append(tab)
        tab.page.goto(url(board if isinstance(board, int) else board.port, path))
        return tab

    def close(self) -> None:
        """Close all tabs."""
        for context in self._contexts:
            context.close()
