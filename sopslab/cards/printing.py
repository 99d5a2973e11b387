"""Pages of cards, and what is printed of them, as files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sopslab.cards.folder import has
from sopslab.cards.pdf import NoPdf, pdf


def printed(folder: Path, pages: Mapping[str, str]) -> tuple[dict[str, bytes | None], str]:
    """Return the files of `pages`, as HTML and as PDF, and why there is no PDF; "" where there is.

    A PDF of a page that has not changed is left as it lies in `folder`: to make it takes longest.
    Each comes before its page, so that a page which is there says that its PDF is the one of it.
    """
    files: dict[str, bytes | None] = {}
    missing = ""
    for name, page in pages.items():
        html, sheet = f"{name}.html", f"{name}.pdf"
        if not (has(folder, html, page.encode()) and has(folder, sheet)):
            files[sheet] = None
            if not missing:
                try:
                    files[sheet] = pdf(page)
                except NoPdf as reason:
                    missing = str(reason)
        files[html] = page.encode()
    return files, missing
