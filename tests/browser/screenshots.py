"""Take the pictures of the board for README and docs: `python -m tests.browser.screenshots`.

`make docs` runs this module. The class and the time in the pictures are always the same, so they
differ only if the page, the browser or the fonts of the machine do.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from playwright.sync_api import Browser

from sopslab.layout import PROJECT
from sopslab.web import watcher
from tests.browser.classes import NOW, pictured
from tests.browser.viewing import Tabs, chromium
from tests.unit.web.web_material import Board, Look, Memory, found, serving

IMAGES = PROJECT / "docs" / "images"

_PHONE = {"width": 390, "height": 780, "device_scale_factor": 1.5, "is_mobile": True}
# Name, page, and screen of each picture.
PICTURES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("board", "", {"width": 1280, "height": 720}),
    ("board-projector", "?projector", {"width": 1280, "height": 720}),
    ("board-phone", "", _PHONE),
)


def take(browser: Browser, folder: Path) -> list[Path]:
    """Take all pictures, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    tabs = Tabs(browser)
    with _board() as board:
        try:
            return [
                _taken(tabs, board, folder / f"{name}.png", path, screen)
                for name, path, screen in PICTURES
            ]
        finally:
            tabs.close()


@contextmanager
def _board() -> Iterator[Board]:
    """Serve the class of the pictures at the time `NOW`."""
    rows, changes = pictured()
    clock = SimpleNamespace(time=lambda: NOW, monotonic=time.monotonic)
    with (
        mock.patch.object(watcher, "time", clock),
        serving(Look(found(*rows)), Memory(changes)) as board,
    ):
        yield board


def _taken(tabs: Tabs, board: Board, target: Path, path: str, screen: dict[str, Any]) -> Path:
    tab = tabs.open(board, path, **screen)
    tab.live()
    tab.page.screenshot(path=target)
    return target


def main() -> None:
    """Take the pictures that are part of the docs."""
    with chromium() as browser:
        for picture in take(browser, IMAGES):
            print(f"{picture.relative_to(PROJECT)}: {picture.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
