"""What a browser would print of a page, as PDF, with the fonts of this machine inside."""

from __future__ import annotations

import shutil
import warnings

from sopslab.errors import LabError
from sopslab.model.packages import MANAGERS, PDF_LIBRARIES, packages_of


class NoPdf(LabError):
    """A PDF cannot be made here; the sentence says what to install."""


def pdf(page: str) -> bytes:
    """Return the PDF of a page, of which nothing is fetched; the same page gives the same bytes on
    the same machine. Raises NoPdf where libraries are missing."""
    try:
        # Imported here: with its libraries it takes longer than all else that makes cards.
        with warnings.catch_warnings():
            # It says at each start that a library will be needed one day.
            warnings.simplefilter("ignore", DeprecationWarning)
            from weasyprint import HTML  # type: ignore[import-untyped]
            from weasyprint.urls import URLFetcher  # type: ignore[import-untyped]
    except OSError:
        raise NoPdf(_missing()) from None
    fetcher = URLFetcher(allowed_protocols=("data",), allow_redirects=False)
    return bytes(HTML(string=page, url_fetcher=fetcher).write_pdf())


def _missing() -> str:
    manager = next(filter(shutil.which, MANAGERS), None)
    if manager is None:
        return "no PDF was made: it needs Pango and HarfBuzz, which are not installed"
    names = " ".join(names[0] for names in packages_of(manager, PDF_LIBRARIES))
    return f"no PDF was made: have root install what it needs: {manager} install {names}"
