"""The mark of a learner who asks for help: a file in the learner's bare repository.

A file, and no ref: the observer reads it without a process, and no push of anybody's reaches it.
"""

from __future__ import annotations

import json

# In the bare repository.
MARK = "sops-lab-asked.json"
_LATEST = 1e11


def render_mark(since: float) -> str:
    """Return the mark of who asks since a time, in seconds since 1970."""
    return json.dumps({"since": since}) + "\n"


def parse_mark(text: bytes | None) -> float | None:
    """Return since when a learner asks, in seconds since 1970; None without a mark."""
    try:
        since = json.loads(text or b"")["since"]
    except (ValueError, KeyError, TypeError):
        return None
    return float(since) if isinstance(since, int | float) and 0 <= since < _LATEST else None
