"""Make a roster from a table: who is in it, under which id, and which rows are left out. Pure.

An id is made from the login, else from the address, else from the name. Learners who are on a
roster already keep their ids.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from sopslab.config.column_choice import Columns, called
from sopslab.config.inputfile import MAX_BYTES, Findings
from sopslab.config.naming import check_seat
from sopslab.config.roster import MAX_LEARNERS, refuse_crowd
from sopslab.config.roster_columns import same_header
from sopslab.config.roster_values import CHECKS, MACHINE, Proposals, default_email, folded, shown
from sopslab.config.tables import Record, Table, is_formula
from sopslab.errors import InputError

_LEFT_OUT = 100
MOST_ROWS = MAX_LEARNERS + _LEFT_OUT
"""How many rows are read: one for each learner of the largest class, and some that are nobody's."""

_HEADING = """\
# The learners of a class, as `sopslab roster import` made them of an export. An id never changes:
# another one is another environment. `sopslab roster import NEW --into THIS` adds who comes late.
"""
# What a spreadsheet shows in place of a value that it could not calculate.
_ERRORS = frozenset(
    {"#n/a", "#nv", "#name?", "#ref!", "#bezug!", "#value!", "#wert!", "#div/0!", "#num!", "#null!"}
)
# Rows below the header of a Canvas export that belong to no learner.
_OF_CANVAS = {
    "points possible": "a row of Canvas with the points of each task",
    "student, test": "the test student of Canvas",
    "test student": "the test student of Canvas",
}


@dataclass(frozen=True)
class Learner:
    """An entry of the roster.

    `made_of` says where the id comes from. `line` is the person's line in the table; None for a
    learner who is only on the roster. `machine` is what the roster says about the learner's
    machine, on which exports have nothing.
    """

    line: int | None
    id: str
    made_of: str
    name: str
    email: str | None
    group: str | None
    expires: str | None = None
    machine: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A row that is not a learner's, and why."""

    line: int
    reason: str


@dataclass(frozen=True)
class Proposal:
    """The proposed roster: `learners` in its order, the rows left out, and notes for the user."""

    learners: tuple[Learner, ...]
    left_out: tuple[LeftOut, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Person:
    line: int
    login: str
    name: str
    email: str
    group: str


def propose(
    table: Table, columns: Columns, roster: Sequence[Mapping[str, str | None]] = ()
) -> Proposal:
    """Return the roster that a table would give.

    + roster: the learners of an existing roster; they stay as they are, in their order, before
        those whom the table adds

    Raises InputError with every problem, each naming file, line, column, value and fix.
    """
    findings = Findings(table.path)
    refuse_crowd(table.path, len(table.records) - _LEFT_OUT)
    turned = _turned(table, columns)
    people, left_out = [], []
    for record in table.records:
        reason = _nobody(table, columns, record)
        if reason is None:
            people.append(_person(table, columns, record, turned is not None, findings))
        else:
            left_out.append(LeftOut(record.line, reason))
    refuse_crowd(table.path, len(people))
    if not people:
        findings.add(0, "holds nobody: below the header, no row is a learner's")
    _check_distinct(table, columns, people, findings)
    known = _Known(roster)
    seats = known.seats_of(people, findings)
    new = _with_ids([one for one in people if one not in seats], known.ids, findings)
    findings.refuse_if_any()
    lines = {seat: person.line for person, seat in seats.items()}
    kept = [_kept(row, lines) for row in roster]
    refuse_crowd(table.path, len(kept) + len(new))
    notes = [*columns.notes, *([turned] if turned else []), *_namesakes([*kept, *new])]
    absent = [learner.id for learner in kept if learner.line is None]
    if absent:
        notes.append(f"on the roster and not in the export, these stay: {', '.join(absent)}")
    return Proposal((*kept, *new), tuple(left_out), tuple(notes))


def render(learners: Iterable[Learner]) -> str:
    """Return a roster in YAML, which `read_roster` reads.

    Raises InputError if it is larger than a roster may be.
    """
    lines = [_entry(learner) for learner in learners]
    text = f"{_HEADING}learners:\n{''.join(lines)}"
    if len(text.encode()) > MAX_BYTES:
        raise InputError(["the roster would be larger than 1 MiB: make several classes"])
    return text


def _entry(learner: Learner) -> str:
    email = None if learner.email == default_email(learner.id) else learner.email
    values = {"id": learner.id, "name": learner.name, "email": email, "group": learner.group,
              "expires": learner.expires}  # fmt: skip
    values |= learner.machine
    # A JSON string is YAML as well, and is never read as a number or a date.
    pairs = [
        f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in values.items() if value
    ]
    return f"  - {{{', '.join(pairs)}}}\n"


def _cell(record: Record, column: int | None) -> str:
    """Return a value with single blanks and composed accents; "" if it has nothing but dashes."""
    if column is None or column >= len(record.values):
        return ""
    text = unicodedata.normalize("NFC", " ".join(record.values[column].split()))
    return text if text.strip("-–—") else ""


def _columns_of(columns: Columns) -> list[int]:
    others = (columns.id, columns.email, columns.group)
    return [*columns.names, *(column for column in others if column is not None)]


def _nobody(table: Table, columns: Columns, record: Record) -> str | None:
    """Return why a row is not a learner's, or None if it is a learner's."""
    if not any(_cell(record, column) for column in _columns_of(columns)):
        return "it is empty in the columns that are read"
    if any(same_header(table.header.values[column], "Student") for column in columns.names):
        return _OF_CANVAS.get(_cell(record, columns.names[0]).casefold())
    return None


def _turned(table: Table, columns: Columns) -> str | None:
    """Return a note that names are turned round, or None if they are not.

    They are turned round if every name of several words has the form `Lovelace, Ada`.
    """
    if len(columns.names) != 1:
        return None
    rows = [record for record in table.records if _nobody(table, columns, record) is None]
    names = [_cell(record, columns.names[0]) for record in rows]
    several = [name for name in names if " " in name or "," in name]
    if not several or any(len(_parts(name)) != 2 for name in several):
        return None
    return f"names are turned round, such as {shown(several[0])} to {shown(_turn(several[0]))}"


def _parts(name: str) -> list[str]:
    return [part.strip() for part in name.split(",") if part.strip()]


def _turn(name: str) -> str:
    return " ".join(reversed(_parts(name)))


def _person(
    table: Table, columns: Columns, record: Record, turned: bool, findings: Findings
) -> _Person:
    """Return the person in a row, and note what is wrong with the row."""
    beyond = [value for value in record.values[len(table.header.values) :] if value]
    if beyond:
        findings.add(
            record.line,
            f"has {len(record.values)} values, and the header has {len(table.header.values)}: put a"
            " value that holds the separator in quotes",
        )
    for read in dict.fromkeys(_columns_of(columns)):
        _check_calculated(record.line, called(table, read), _cell(record, read), findings)
    parts = [_cell(record, column) for column in columns.names]
    name = " ".join(part for part in parts if part)
    place = " and ".join(called(table, column) for column in columns.names)
    if name:
        _check("name", record.line, place, name, findings)
    else:
        findings.add(
            record.line, f"name is missing in {place}: write it there, or take the line out"
        )
    email, group = _cell(record, columns.email), _cell(record, columns.group)
    for key, column, text in (("email", columns.email, email), ("group", columns.group, group)):
        if column is not None and text:
            _check(key, record.line, called(table, column), text, findings)
    login = _cell(record, columns.id)
    return _Person(record.line, login, _turn(name) if turned else name, email, group)


def _check_calculated(line: int, place: str, text: str, findings: Findings) -> None:
    if is_formula(text):
        findings.add(line, f"{place}: {shown(text)} begins as a formula does: write the value")
    elif text.casefold() in _ERRORS:
        findings.add(line, f"{place}: {shown(text)} is an error of a formula: write the value")


def _check(key: str, line: int, place: str, text: str, findings: Findings) -> None:
    try:
        CHECKS[key](text)
    except ValueError as error:
        findings.add(line, f"{place}: {shown(text)} is refused: {error}")


def _check_distinct(
    table: Table, columns: Columns, people: Sequence[_Person], findings: Findings
) -> None:
    """Note logins and addresses that two rows have: one person twice, or a mistake."""
    logins = [(one.line, one.login) for one in people]
    emails = [(one.line, one.email) for one in people] if columns.email != columns.id else []
    for column, values in ((columns.id, logins), (columns.email, emails)):
        first: dict[str, int] = {}
        for line, text in values:
            before = first.setdefault(folded(text), line)
            if text and column is not None and before != line:
                findings.add(
                    line,
                    f"{called(table, column)}: {shown(text)} is in line {before}, too: each learner"
                    " has one line, with values of their own",
                )


class _Known:
    """The learners on an existing roster, and how people in the table are recognised as them.

    A person is recognised by an address that the roster has; if the table or the roster has no
    address of theirs, by login or name.
    """

    def __init__(self, roster: Sequence[Mapping[str, str | None]]) -> None:
        self.ids: list[str] = []
        self._by_email: dict[str, str] = {}
        self._by_name: dict[str, list[str]] = {}
        self._without: set[str] = set()
        for row in roster:
            seat, email = str(row["id"]), row["email"] or ""
            self.ids.append(seat)
            self._by_email[folded(email)] = seat
            self._by_name.setdefault(folded(row["name"] or ""), []).append(seat)
            if email == default_email(seat):
                self._without.add(seat)

    def seats_of(self, people: Sequence[_Person], findings: Findings) -> dict[_Person, str]:
        """Return the id of each person who is on the roster; note people who may be several
        learners, and learners who appear twice."""
        seats: dict[_Person, str] = {}
        lines: dict[str, int] = {}
        for person in people:
            found = self._found(person)
            if len(found) > 1:
                findings.add(
                    person.line,
                    f"may be {' or '.join(found)} on the roster: an address would say who it is",
                )
            for seat in found[:1]:
                before = lines.setdefault(seat, person.line)
                if before != person.line:
                    findings.add(
                        person.line,
                        f"is {seat} on the roster, as line {before} is: give each an address of"
                        " their own",
                    )
                seats[person] = seat
        return seats

    def _found(self, person: _Person) -> list[str]:
        """Return the ids of the learners on the roster who may be this person."""
        by_email = self._by_email.get(folded(person.email)) if person.email else None
        if by_email is not None:
            return [by_email]
        login = _local(person.login).casefold()
        found = [login] if login in self.ids else self._by_name.get(folded(person.name), [])
        return [seat for seat in found if not person.email or seat in self._without]


def _kept(row: Mapping[str, str | None], lines: Mapping[str, int]) -> Learner:
    seat = str(row["id"])
    email = None if row["email"] == default_email(seat) else row["email"]
    name, group, expires = row["name"] or "", row["group"], row.get("expires")
    machine = {key: value for key in MACHINE if (value := row.get(key))}
    return Learner(lines.get(seat), seat, "roster", name, email, group, expires, machine)


def _with_ids(people: Sequence[_Person], taken: Iterable[str], findings: Findings) -> list[Learner]:
    """Return people with an id each: the login in small letters if it is a valid id, else one that
    is close to the login, the address or the name."""
    given = dict.fromkeys(taken)
    logins: dict[_Person, str] = {}
    for person in people:
        login = _local(person.login).casefold()
        if login not in given and _is_seat(login):
            given[login] = None
            logins[person] = login
    proposals = Proposals(given)
    # For a row that is refused anyway, no further problem is reported.
    refused = {line for line, _ in findings.found}
    learners = []
    for person in people:
        seat, made_of = logins.get(person), "login"
        if seat is None:
            seat, made_of = _proposed(person, proposals)
        if seat is not None:
            email, group = person.email or None, person.group or None
            learners.append(Learner(person.line, seat, made_of, person.name, email, group))
        elif person.line not in refused:
            findings.add(
                person.line,
                f"no id can be made of {shown(person.name)}: add a column of ids with a-z, 0-9 and"
                " `-`, and name it with --id-from",
            )
    return learners


def _proposed(person: _Person, proposals: Proposals) -> tuple[str | None, str]:
    sources = {"login": _local(person.login), "address": _local(person.email), "name": person.name}
    for made_of, text in sources.items():
        seat = proposals.like(text)
        if seat is not None:
            return seat, made_of
    return None, ""


def _local(address: str) -> str:
    """Return what stands before the `@` of an address, and before its `+`; other text as it is."""
    local, at, _ = address.partition("@")
    return local.partition("+")[0] if at else local


def _is_seat(text: str) -> bool:
    try:
        check_seat(text)
    except ValueError:
        return False
    return True


def _namesakes(learners: Sequence[Learner]) -> Iterator[str]:
    """Yield a sentence for each name that several learners have, if one of them is new."""
    by_name: dict[str, list[Learner]] = {}
    for learner in learners:
        by_name.setdefault(folded(learner.name), []).append(learner)
    for same in by_name.values():
        if len(same) > 1 and any(one.made_of != "roster" for one in same):
            ids = ", ".join(one.id for one in same)
            yield f"{shown(same[0].name)} is there {len(same)} times, as {ids}: are they different?"
