"""The pictures of the docs: they can be taken, and the docs show them."""

from __future__ import annotations

import re

from playwright.sync_api import Browser

from sopslab.layout import PROJECT
from tests.browser.screenshots import IMAGES, PICTURES, take

_MOST = 150 * 1024


def test_pictures_are_taken_and_small(browser: Browser) -> None:
    """The pictures stay in build/screenshots, to be looked at."""
    taken = take(browser, PROJECT / "build" / "screenshots")

    assert [path.name for path in taken] == [f"{name}.png" for name, _, _ in PICTURES]
    for path in taken:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert 10 * 1024 < path.stat().st_size < _MOST


def test_readme_and_docs_show_each_picture_that_there_is() -> None:
    shown = set()
    for page in (PROJECT / "README.md", PROJECT / "docs" / "instructors.md"):
        for link in re.findall(r"!\[[^]]+\]\(([^)]+\.png)\)", page.read_text()):
            shown.add((page.parent / link).resolve())

    assert shown == {path.resolve() for path in IMAGES.iterdir()}
    assert {path.stem for path in shown} == {name for name, _, _ in PICTURES}
    assert all(path.stat().st_size < _MOST for path in shown)
