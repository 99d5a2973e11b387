"""What the cards are made from: the login and the CA on disk, and what the Git server hands out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sopslab.cards.card import Access, Card, card_of, fingerprint
from sopslab.config.enrolled import read_enrolled
from sopslab.config.settings import Seat, Settings
from sopslab.errors import InputError, LabError

# The name of the whole class's sheet. It lies beside the cards, which are named after their seats.
ALL = "all"

_MAKE = "make it with `sopslab up inventories/classroom.py`"


@dataclass(frozen=True)
class Gathered:
    """The cards that can be made, and for every other seat the reasons why its card cannot."""

    cards: tuple[Card, ...]
    problems: dict[str, tuple[str, ...]]


def enrolled(settings: Settings, wanted: Sequence[str]) -> tuple[Seat, ...]:
    """Return everybody who has a seat.

    Raises InputError if the lab has no class, or with everyone in `wanted` who has no seat.
    """
    seats = read_enrolled(settings)
    if not seats:
        raise InputError(
            [
                f"the lab {settings.lab} has no class: enrol one with"
                " `sopslab up inventories/classroom.py`"
            ]
        )
    known = {seat.id for seat in seats}
    roster = Path(settings.class_dir) / "roster.json"
    unknown = [name for name in dict.fromkeys(wanted) if name not in known]
    if unknown:
        raise InputError([f"{name!r}: no learner with this id is enrolled; {roster} lists them"
                          for name in unknown])  # fmt: skip
    return seats


def gather(
    settings: Settings, seats: Iterable[Seat], ends: Mapping[str, str], fetchable: Collection[str]
) -> Gathered:
    """Return the cards of `seats`, and what is missing for the rest of them.

    Raises LabError if the CA cannot be read: no card would be right then.

    + ends: by seat, when the kubeconfig expires, as people read it
    + fetchable: the seats whose kubeconfig the Git server hands out
    """
    ca = _ca(settings)
    cards: list[Card] = []
    problems: dict[str, tuple[str, ...]] = {}
    for seat in seats:
        missing: list[str] = []
        if seat.id == ALL:
            missing.append("the sheet of the whole class has this name: enrol with another id")
        access = _access(settings, seat, missing)
        # The card tells the learner to fetch the kubeconfig.
        if seat.id not in fetchable:
            missing.append(f"the Git server does not hand out its kubeconfig: {_MAKE}")
        if missing:
            problems[seat.id] = tuple(f"{seat.id}: {reason}" for reason in missing)
        else:
            cards.append(card_of(settings, seat, access, ca, ends.get(seat.id)))
    return Gathered(tuple(cards), problems)


def _access(settings: Settings, seat: Seat, missing: list[str]) -> Access:
    folder = Path(settings.account_dir(seat.id))
    return Access(_text(folder / "username", missing), _text(folder / "password", missing))


def _text(path: Path, missing: list[str]) -> str:
    """Return the text of a file; or "", after adding the reason to `missing`."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        missing.append(f"{path} is missing: {_MAKE}")
    except OSError as error:
        missing.append(f"{path} cannot be read ({error.strerror}): {_MAKE}")
    except UnicodeDecodeError:
        missing.append(f"{path} is not UTF-8: remove it, and {_MAKE}")
    else:
        if not text:
            missing.append(f"{path} is empty: remove it, and {_MAKE}")
        return text
    return ""


def _ca(settings: Settings) -> str | None:
    path = Path(settings.tls_dir) / "ca.crt"
    try:
        return fingerprint(path.read_text(encoding="ascii"))
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = str(error.strerror)
    except ValueError as error:
        reason = "not ASCII" if isinstance(error, UnicodeDecodeError) else str(error)
    raise LabError(f"{path} cannot be read ({reason}): {_MAKE}")
