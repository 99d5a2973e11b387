"""Who has a seat in the class, as the last `up` recorded it on this machine."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.config.environment import Environment, at_seat, solo
from sopslab.config.naming import check_enrolled
from sopslab.config.places import enrolled_file
from sopslab.errors import InputError, LabError

if TYPE_CHECKING:
    from sopslab.config.settings import Enrolled, Settings


def read_enrolled(settings: Settings) -> tuple[Enrolled, ...]:
    """Return everybody who has a seat; nobody on a lab without a class.

    Raises LabError if the record cannot be read.
    """
    path = Path(enrolled_file(settings.root, settings.lab))
    try:
        return enrolled_in(path, path.read_bytes())
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None


def enrolled_in(path: Path, record: str | bytes) -> tuple[Enrolled, ...]:
    """Return who is on `record`, which was read from `path`. Raises LabError if it is damaged."""
    # Imported here: it takes long, and most importers of this module read no record.
    from pydantic import ValidationError

    try:
        return _validated(record)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the list"
        reason = f"{place}: {first['msg']}"
    except (ValueError, RecursionError):
        reason = "it is not JSON"
    raise _unreadable(path, reason)


# A run reads the record for each of its steps, and the board at each look: it seldom changes.
@lru_cache(maxsize=1)
def _validated(record: str | bytes) -> tuple[Enrolled, ...]:
    from pydantic import TypeAdapter

    from sopslab.config.settings import Enrolled

    # Not `validate_json`: in that mode a damaged file's content would be part of the message.
    return TypeAdapter(tuple[Enrolled, ...]).validate_python(json.loads(record))


def read_ids(path: Path) -> dict[str, bool]:
    """Return for the id of each seat on a record whether nobody has the seat; {} without a record.

    Only the ids are validated: validating everything would take long. Raises LabError if the record
    cannot be read.
    """
    try:
        seats = json.loads(path.read_bytes())
        return {check_enrolled(seat["id"]): _is_free(seat) for seat in seats}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unreadable(path, str(error.strerror)) from None
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise _unreadable(path, "it is damaged") from None


def _is_free(seat: Mapping[str, object]) -> bool:
    return seat.get("learner") is None and not seat.get("listed", True)


def record_of(seats: Iterable[Enrolled]) -> str:
    """Return the text of the record that says who has a seat."""
    return json.dumps(
        [seat.model_dump(exclude_defaults=True) for seat in seats], ensure_ascii=False, indent=1
    )


def _unreadable(path: Path, reason: str) -> LabError:
    return LabError(
        f"{path} cannot be read ({reason}): repair it, or remove it and run"
        " `sopslab up inventories/classroom.py`, which enrols who is on the roster"
    )


def read_environments(settings: Settings) -> dict[str, Environment]:
    """Return every environment by its learner's id: those of seats, and that of the lab's own
    learner.

    Raises LabError if the record cannot be read.
    """
    environments = {seat.id: at_seat(seat) for seat in read_enrolled(settings)}
    return {**environments, settings.learner.id: solo(settings)}


def named_environments(settings: Settings, ids: Sequence[str]) -> list[Environment]:
    """Return the environments of these learners, each once; without ids, that of the lab's only
    learner.

    Raises InputError with every id that no learner has, or if ids are needed; LabError if the
    record cannot be read.
    """
    known = read_environments(settings)
    if not ids and len(known) > 1:
        raise InputError([f"name the learners: {', '.join(known)}"])
    problems = strangers(dict.fromkeys(ids), known)
    if problems:
        raise InputError(problems)
    return [known[name] for name in dict.fromkeys(ids or known)]


def class_in_words(seats: Sequence[str]) -> str:
    """Return a clause that says who has a seat.

    + seats: their ids
    """
    return f"the class has {', '.join(seats)}" if seats else "the lab has no class"


def strangers(ids: Iterable[str], known: Collection[str]) -> list[str]:
    """Return a sentence for each id that no learner has.

    + known: the ids of those who have an environment
    """
    return [
        f"there is no environment of {name}: known are {', '.join(known)}"
        for name in ids
        if name not in known
    ]
