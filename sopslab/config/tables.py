"""Read a table that another program has written: records of text, each with its line.

Rules determine its encoding and its separator, and the result names both: nothing is guessed from
what words would look like.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from sopslab.config.inputfile import MIB, UTF_16, line_at, read_bytes
from sopslab.errors import InputError

# An export with the grades of a whole class is larger than a roster.
_MAX_BYTES = 8 * MIB
_MAX_COLUMNS = 1000
# The endings of spreadsheets, which hold tables but cannot be read here.
SPREADSHEETS = frozenset({".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"})
# What may separate columns, and its name. If two separators give equally many columns, the first
# one counts: the later ones occur more often within names and headers.
SEPARATORS = {"\t": "tabs", ";": "semicolons", "|": "vertical bars", ",": "commas"}
# The characters of which a table without any value consists.
_NOTHING = "".join(SEPARATORS) + ' "\r\n'
# The first line with which programs tell Excel what separates the columns.
_NAMED = re.compile(r"\"?sep=(?P<sign>[^\"]?)\"?[,;\t| ]*", re.IGNORECASE)
# The first characters of what a spreadsheet takes for a formula, full-width forms included.
_FORMULA = tuple("=+-@|%\t\r\n＝＋－＠")


@dataclass(frozen=True)
class Record:
    """The values of a row, without blanks around them, and the line that it begins in."""

    line: int
    values: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """A table, and how it was read; `encoding` and `separator` are words for people."""

    path: str
    encoding: str
    separator: str
    header: Record
    records: tuple[Record, ...]


class NoTable(ValueError):
    """A text cannot be read as a table; the sentence says why, and `line` in which line."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line


def read_table(path: str, most: int) -> Table:
    """Return the table in the file `path`: its first row that is not empty is the header.

    + most: how many rows below the header are wanted; one more is read, if there are others

    Raises InputError, naming file and line, for a file that is no table in text, or is too large.
    """
    _refuse_other_kinds(path)
    content = read_bytes(path, "export of a class", _MAX_BYTES)
    encoding, text = _decoded(path, content)
    if not text.strip(_NOTHING):
        raise InputError([f"{path}: is empty: a row with the names of the columns is needed"])
    number, first = first_line(text)
    sign = named_separator(first)
    if sign is not None and sign not in SEPARATORS:
        raise InputError(
            [
                f"{path}:{number}: names {sign!r} as what separates the columns: save the file with"
                f" {', '.join(SEPARATORS.values())}"
            ]
        )
    begin = 1 if sign is None else number + 1
    sign = sign or _separator(text, begin)
    try:
        rows = tuple(islice(records(text, sign, begin), most + 2))
    except NoTable as error:
        raise InputError([f"{path}:{error.line}: {error}"]) from None
    if not rows:
        raise InputError([f"{path}: is empty: a row with the names of the columns is needed"])
    if len(rows[0].values) > _MAX_COLUMNS:
        raise InputError([f"{path}:{rows[0].line}: has more than {_MAX_COLUMNS} columns"])
    return Table(path, encoding, SEPARATORS[sign], rows[0], rows[1:])


def records(text: str, separator: str, begin: int = 1) -> Iterator[Record]:
    """Yield the rows of a text that are not empty.

    + begin: the first line to read

    Raises NoTable if the quotes do not match.
    """
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True
    )
    line = 1
    try:
        for row in reader:
            values = tuple(value.strip(" ") for value in row)
            if line >= begin and any(values):
                yield Record(line, values)
            line = reader.line_num + 1
    except csv.Error as error:
        raise NoTable(line, f"is no CSV: {error}: check the quotes of the values") from None


def first_line(text: str) -> tuple[int, str]:
    """Return the number and the text of the first line that is not empty."""
    # Lines end where `csv` ends them; `splitlines` would also end one at a form feed.
    lines = enumerate(io.StringIO(text, newline=""), 1)
    return next(((number, line.strip("\r\n")) for number, line in lines if line.strip()), (1, ""))


def named_separator(line: str) -> str | None:
    """Return the sign that a line such as `sep=;` names, or None if it is no such line."""
    named = _NAMED.fullmatch(line)
    return named["sign"] if named else None


def is_formula(cell: str) -> bool:
    """Return whether a spreadsheet would take a cell for a formula, by its beginning."""
    return cell.lstrip(" ").startswith(_FORMULA)


def _refuse_other_kinds(path: str) -> None:
    ending = Path(path).suffix.lower()
    if ending in SPREADSHEETS:
        raise InputError([f"{path}: is a spreadsheet: save it as CSV, and import that"])
    if ending in {".yaml", ".yml"}:
        raise InputError([f"{path}: is YAML, and no table: `sopslab roster check` reads a roster"])


def _decoded(path: str, content: bytes) -> tuple[str, str]:
    """Return the encoding of a file, in words, and its text.

    The encoding is the one of its byte order mark, else UTF-8 if every byte of it fits, else
    Windows-1252.
    """
    unmarked = content.removeprefix(codecs.BOM_UTF8)
    if content.startswith(UTF_16):
        encoding, text = "UTF-16", _by_mark(path, content)
    else:
        try:
            encoding, text = "UTF-8", unmarked.decode("utf-8")
        except UnicodeDecodeError as error:
            if unmarked != content or not content[: error.start].isascii():
                place = f"{path}:{line_at(unmarked, error.start)}"
                raise InputError(
                    [f"{place}: is not UTF-8, and what is before it is: save it as UTF-8"]
                ) from None
            encoding, text = "Windows-1252", _windows(path, content)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError([f"{path}:{line}: holds a zero byte, which no text has: save it as UTF-8"])
    return encoding, text


def _by_mark(path: str, content: bytes) -> str:
    try:
        return content.decode("utf-16")
    except UnicodeDecodeError:
        raise InputError(
            [f"{path}: begins as UTF-16 and is damaged: save it once more, as UTF-8"]
        ) from None


def _windows(path: str, content: bytes) -> str:
    try:
        return content.decode("cp1252")
    except UnicodeDecodeError as error:
        place = f"{path}:{line_at(content, error.start)}"
        raise InputError(
            [f"{place}: is neither UTF-8 nor Windows-1252: save it as UTF-8"]
        ) from None


def _separator(text: str, begin: int) -> str:
    """Return the separator with which the header has the most columns."""
    return max(SEPARATORS, key=lambda sign: _columns(text, sign, begin))


def _columns(text: str, sign: str, begin: int) -> int:
    try:
        header = next(records(text, sign, begin), None)
    except NoTable:
        return 0
    return len(header.values) if header else 0
