"""The values that a human gives to a rotation. They are passed on standard input, and nowhere
else."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence

from sopslab.errors import InputError


def render_values(values: Mapping[str, str]) -> str:
    """Return values by NAME/KEY in the form in which a deploy reads them."""
    return json.dumps(dict(values))


def read_values(names: Sequence[str]) -> dict[str, str]:
    """Return the values of these names from standard input, which is not read without names.

    Raises InputError for names whose value is missing. No message repeats what was read.

    + names: the names as NAME/KEY
    """
    if not names:
        return {}
    try:
        read = json.loads(sys.stdin.read())
    except ValueError:
        raise InputError(["a JSON object of values is needed on standard input"]) from None
    values = read if isinstance(read, dict) else {}
    missing = [name for name in names if not isinstance(values.get(name), str)]
    if missing:
        raise InputError([f"{name}: no value was given on standard input" for name in missing])
    return {name: values[name] for name in names}
