"""What is broken in an environment, as it is written down on the lab's machine.

It holds no secret. It is in base64, so that whoever sits an exam does not read the answer in
passing.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Injection:
    """A fault in an environment: the commit that brought it, and whether it was brought in full."""

    done: bool
    commit: str | None = None


def render_record(faults: Mapping[str, Injection]) -> str:
    """Return the record of faults, by id."""
    told = {fault: {"commit": one.commit or "", "done": one.done} for fault, one in faults.items()}
    return base64.b64encode(json.dumps(told, separators=(",", ":")).encode()).decode()


def parse_record(text: str) -> Mapping[str, Injection]:
    """Return the faults of a record, by id. Raises ValueError for anything else."""
    try:
        found = json.loads(base64.b64decode(text.strip(), validate=True))
        return {
            fault: Injection(bool(one["done"]), one.get("commit") or None)
            for fault, one in found.items()
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError("it is not a record of faults") from error
