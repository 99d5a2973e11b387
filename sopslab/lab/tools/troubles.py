"""Why a cluster cannot be asked, by what kubectl says. kubectl's words are recognised, never
shown."""

from __future__ import annotations

from sopslab.checks.causes import SERVING, cause_of
from sopslab.model.trouble import Trouble

_ANSWERED = "Error from server"


def trouble_of(words: bytes) -> Trouble:
    """Return what it means that kubectl failed with these words. Unknown words that are not the API
    server's mean a connection that brings no answer."""
    text = words.decode("utf-8", "replace")
    cause = cause_of(text, SERVING)
    if cause is not None and cause.trouble is not None:
        return cause.trouble
    return Trouble.UNWELL if _ANSWERED in text else Trouble.SILENT
