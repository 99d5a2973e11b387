"""The record, on the lab's machine, of what is broken in an environment.

It holds no secret. It is in base64 so that a learner in an exam does not read the answer by chance.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Injection:
    """A fault in an environment: whether its injection is complete (`done`), and the commit that
    injected it, if a commit did."""

    done: bool
    commit: str | None = None


def render_record(faults: Mapping[str, Injection]) -> str:
    """Return the text of the record.

    + faults: the injections by the id of the fault
    """
    told = {fault: {"commit": one.commit or "", "done": one.done} for fault, one in faults.items()}
    return base64.b64encode(json.dumps(told, separators=(",", ":")).encode()).decode()


def parse_record(text: str) -> Mapping[str, Injection]:
    """Return the faults in the text of a record, by id. Raises ValueError for any other text."""
    try:
        found = json.loads(base64.b64decode(text.strip(), validate=True))
        return {
            fault: Injection(bool(one["done"]), one.get("commit") or None)
            for fault, one in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is not a record of faults") from error
