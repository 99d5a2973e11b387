"""Which columns of an exported table hold the id, the name, the address and the group. Pure.

A column is chosen by its header, or because somebody named it. If several columns may be meant,
none is chosen: UnclearColumns then carries the question.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sopslab.config.roster_columns import Meaning, meanings, same_header
from sopslab.config.roster_values import is_email, shown
from sopslab.config.tables import Table
from sopslab.errors import InputError

# Named instead of a column, this says that there is none.
NO_COLUMN = "-"
_OPTIONS = {key: f"--{key}-from" for key in ("id", "name", "email", "group")}


@dataclass(frozen=True)
class Named:
    """The columns that somebody named, each by its header or its number; `-` means no column.

    `names` are the columns of the parts of a name, in their order; one text may name several
    columns, with commas between them.
    """

    id: str | None = None
    names: tuple[str, ...] = ()
    email: str | None = None
    group: str | None = None

    def answering(self, key: str, column: str) -> Named:
        """Return a copy in which `column` answers the question about `key`."""
        match key:
            case "id":
                return replace(self, id=column)
            case "email":
                return replace(self, email=column)
            case "group":
                return replace(self, group=column)
        return replace(self, names=(column,))


@dataclass(frozen=True)
class Columns:
    """The columns to read, counted from 0; `notes` say which columns were not taken, and why."""

    id: int | None
    names: tuple[int, ...]
    email: int | None
    group: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Question:
    """Which of `candidates` is the column of `key`: of the id, name, email or group?

    `recognized` is true if the headers of all candidates may mean `key`, false if none does.
    """

    key: str
    candidates: tuple[int, ...]
    recognized: bool = True


class UnclearColumns(InputError):
    """The headers do not say which columns are meant."""

    def __init__(self, table: Table, questions: Sequence[Question]) -> None:
        super().__init__([_unclear(table, question) for question in questions])
        self.questions = tuple(questions)


def called(table: Table, column: int) -> str:
    """Return what a column is called in a sentence: by its header, or else its number."""
    header = table.header.values[column]
    return f"column {shown(header)}" if header else f"column {column + 1}"


def choose(table: Table, named: Named) -> Columns:
    """Return the columns to read from a table.

    Raises UnclearColumns if somebody has to choose between columns, and InputError for a named
    column that does not exist, or a table without a header or without rows.
    """
    _refuse_headless(table)
    if not table.records:
        raise InputError([f"{table.path}: holds nobody: there is no row below the header"])
    chosen = _Choice(table)
    problems: list[str] = []

    def of(key: str, texts: Iterable[str]) -> tuple[int, ...] | None:
        """Return the columns that `texts` name, or None if there are no texts."""
        given = [text for text in texts if text.strip() != NO_COLUMN]
        if not given:
            return () if list(texts) else None
        try:
            return tuple(column for text in given for column in _find(table, text, key == "name"))
        except ValueError as error:
            problems.append(f"{_OPTIONS[key]}: {error}")
            return ()

    ids = of("id", [named.id] if named.id else [])
    names = of("name", named.names)
    emails = of("email", [named.email] if named.email else [])
    groups = of("group", [named.group] if named.group else [])
    if problems:
        raise InputError(problems)
    columns = Columns(
        id=chosen.id() if ids is None else _only(ids),
        names=names or chosen.names(),
        email=chosen.email(ids or ()) if emails is None else _only(emails),
        group=chosen.one("group", Meaning.GROUP) if groups is None else _only(groups),
        notes=tuple(chosen.notes),
    )
    if chosen.questions:
        raise UnclearColumns(table, chosen.questions)
    return columns


def _only(columns: Sequence[int]) -> int | None:
    return columns[0] if columns else None


class _Choice:
    """Choose columns by their headers, and by their values where a header may mean two things."""

    def __init__(self, table: Table) -> None:
        self.questions: list[Question] = []
        self.notes: list[str] = []
        self._table = table
        found = meanings(table.header.values)
        # Ignore the headers of empty columns.
        filled = {meaning: [n for n in found[meaning] if self._values(n)] for meaning in found}
        self._found = {meaning: columns for meaning, columns in filled.items() if columns}

    def one(self, key: str, *meant: Meaning) -> int | None:
        """Return the column of these meanings, None if there is none; if there are several, ask."""
        columns = sorted(column for each in meant for column in self._found.get(each, ()))
        if len(columns) > 1:
            self.questions.append(Question(key, tuple(columns)))
        return columns[0] if columns else None

    def id(self) -> int | None:
        """Return the column of logins, else one called `id`, unless it holds nothing but numbers:
        they may count anything."""
        if Meaning.LOGIN in self._found:
            return self.one("id", Meaning.LOGIN)
        column = self.one("id", Meaning.ID)
        if column is not None and all(value.isdigit() for value in self._values(column)):
            self.notes.append(
                f"{called(self._table, column)} holds nothing but numbers and is not read;"
                " --id-from takes it"
            )
            return None
        return column

    def names(self) -> tuple[int, ...]:
        """Return the column of names, or those of first and last names; if there is none, ask."""
        if Meaning.NAME in self._found:
            column = self.one("name", Meaning.NAME)
            return () if column is None else (column,)
        parts = [self.one("name", part) for part in (Meaning.FIRST, Meaning.LAST)]
        found = tuple(part for part in parts if part is not None)
        if not found:
            columns = range(len(self._table.header.values))
            filled = tuple(column for column in columns if self._values(column))
            self.questions.append(Question("name", filled, recognized=False))
        return found

    def email(self, ids: Sequence[int]) -> int | None:
        """Return the column of addresses: by its header, else a column of logins or ids that are
        all addresses."""
        if Meaning.EMAIL in self._found:
            return self.one("email", Meaning.EMAIL)
        logins = [Meaning.LOGIN, Meaning.ID, Meaning.IDENTIFIER]
        candidates = [*ids, *(column for each in logins for column in self._found.get(each, ()))]
        return next((column for column in candidates if self._addresses(column)), None)

    def _addresses(self, column: int) -> bool:
        values = self._values(column)
        return bool(values) and all("@" in value for value in values)

    def _values(self, column: int) -> list[str]:
        values = (record.values for record in self._table.records)
        return [row[column] for row in values if column < len(row) and row[column]]


def _find(table: Table, text: str, several: bool) -> list[int]:
    """Return the columns that a text names. Raises ValueError if one is missing or there twice.

    + several: the text may name more than one, with commas between them
    """
    header = table.header.values
    for matches in (lambda name: name == text, lambda name: same_header(name, text)):
        found = [number for number, name in enumerate(header) if name and matches(name)]
        if len(found) > 1:
            raise ValueError(f"{shown(text)} is there twice: name it by its number")
        if found:
            return found
    if text.strip().isdecimal() and 1 <= int(text) <= len(header):
        return [int(text) - 1]
    if several and "," in text:
        return [column for part in text.split(",") for column in _find(table, part.strip(), False)]
    raise ValueError(f"there is no column {shown(text)}: there are {_listed(header)}")


def _refuse_headless(table: Table) -> None:
    learner = next((value for value in table.header.values if is_email(value)), None)
    if learner is not None:
        raise InputError(
            [
                f"{table.path}:{table.header.line}: {shown(learner)} is no header: put a line with"
                " the names of the columns above the learners"
            ]
        )


def _unclear(table: Table, question: Question) -> str:
    header = [table.header.values[column] for column in question.candidates]
    place = f"{table.path}:{table.header.line}"
    option = _OPTIONS[question.key]
    if not question.recognized:
        return (
            f"{place}: no header means the {question.key}: say which does with {option}, of"
            f" {_listed(header)}"
        )
    return f"{place}: {_listed(header)} may each be the {question.key}: say which with {option}" + (
        "" if question.key == "name" else f", or `{option} {NO_COLUMN}` for none"
    )


def _listed(header: Sequence[str]) -> str:
    listing = ", ".join(shown(name[:20]) for name in header[:8])
    return f"{listing}, …" if len(header) > 8 else listing
