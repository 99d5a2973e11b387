"""Who has a seat in the class, as the last `up` recorded it on this machine."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sopslab.errors import LabError
from sopslab.settings import Seat, Settings

_SEATS = TypeAdapter(tuple[Seat, ...])


def parse_enrolled(text: str) -> tuple[Seat, ...]:
    """Return who is on the record `text`.

    Raises ValueError for what is no JSON, and pydantic's ValidationError, which is one, for JSON
    that is no record.
    """
    # Not `validate_json`: in that mode a damaged file's content would be part of the message.
    return _SEATS.validate_python(json.loads(text))


def read_enrolled(settings: Settings) -> tuple[Seat, ...]:
    """Return everybody who has a seat; nobody on a lab without a class.

    Raises LabError where the record cannot be read.
    """
    path = Path(settings.class_dir) / "roster.json"
    try:
        return parse_enrolled(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except OSError as error:
        reason = str(error.strerror)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the list"
        reason = f"{place}: {first['msg']}"
    except ValueError:
        reason = "it is no JSON"
    raise LabError(
        f"{path} cannot be read ({reason}): repair it, or remove it and run"
        " `sopslab up inventories/classroom.py`, which enrols who is on the roster"
    )
