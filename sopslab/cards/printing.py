"""The files of cards: the pages in HTML, and the PDF of each page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sopslab.cards.folder import has
from sopslab.cards.pdf import NoPdf, pdf


def printed(folder: Path, pages: Mapping[str, str]) -> tuple[dict[str, bytes | None], str]:
    """Return the HTML and PDF files of `pages`, and the reason if no PDF can be made, else "".

    The result has no PDF for an unchanged page, whose PDF stays in `folder`: making one takes
    longest. A PDF comes before its page: if a page is there, its PDF is known to be the right one.
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
