"""The mark of a learner who asks for help: a file in the learner's bare repository.

It is a file and not a ref, because the observer can read a file without starting a process, and no
push can change it.
"""

from __future__ import annotations

import json

# In the bare repository.
MARK = "sops-lab-asked.json"
_LATEST = 1e11


def render_mark(since: float) -> str:
    """Return the text of the mark.

    + since: when the learner began to ask, in seconds since 1970
    """
    return json.dumps({"since": since}) + "\n"


def parse_mark(text: bytes | None) -> float | None:
    """Return since when a learner has been asking, in seconds since 1970; None without a valid
    mark."""
    try:
        since = json.loads(text or b"")["since"]
    except (ValueError, KeyError, TypeError):
        return None
    return float(since) if isinstance(since, int | float) and 0 <= since < _LATEST else None
