"""A page as PDF, as a browser would print it, with this machine's fonts embedded."""

from __future__ import annotations

import shutil
import warnings

from sopslab.errors import LabError
from sopslab.model.packages import MANAGERS, PDF_LIBRARIES, packages_of


class NoPdf(LabError):
    """A PDF cannot be made here; the sentence says what to install."""


def pdf(page: str) -> bytes:
    """Return the PDF of a page. Nothing that the page refers to is fetched; the same page gives the
    same bytes on the same machine. Raises NoPdf if libraries are missing."""
    try:
        # Imported here: WeasyPrint and its libraries take longer than the rest of making cards.
        with warnings.catch_warnings():
            # At each import, WeasyPrint warns about a library that a later version will need.
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
