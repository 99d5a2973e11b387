"""Read a roster: who is in a class, from YAML or CSV, with all problems at once.

Nothing in it is made to fit: what is not as it has to be is refused, with its place and the fix.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from sopslab.config.inputfile import compose_yaml, read_text
from sopslab.config.naming import SEAT_LENGTH, check_seat, propose_seat
from sopslab.config.settings import Email
from sopslab.errors import InputError

MAX_LEARNERS = 1000
_MAX_LINE = 200
_NEEDED = ("id", "name")
_KNOWN = (*_NEEDED, "email", "group")
_HEADER = "a roster needs the columns id and name, and may have email and group"
# What other programs call these, in small letters: what is to be renamed is told.
_CALLED = {
    "name": {"full name", "student name", "display name", "student", "roster name", "nom complet",
             "vollständiger name"},
    "email": {"email address", "e-mail address", "e-mail", "mail", "e-mail-adresse",
              "adresse de courriel", "dirección de correo", "primary email"},
    "group": {"groups", "section", "team", "gruppe", "gruppen", "groupes", "grupos"},
    "id": {"username", "user name", "user", "login", "login id", "github_username",
           "benutzername", "kennung", "anmeldename"},
}  # fmt: skip
_PARTS_OF_NAMES = {
    *("first name", "firstname", "first_name", "given name", "vorname", "prénom", "nombre"),
    *("last name", "lastname", "last_name", "surname", "family name", "nachname", "apellido(s)"),
}
# Files that are called as tables are, and are none that is read here.
_SPREADSHEETS = frozenset({".xlsx", ".xls", ".xlsm", ".xlsb", ".ods", ".numbers"})
_BY_TABS = (
    "is a table with tabs between its columns: save it as CSV, with commas or semicolons, or write"
    " it as YAML"
)
# With this first line programs tell Excel what stands between the columns.
_SEPARATOR = re.compile(r"\"?sep=(?P<sign>[^\"]?)\"?[,;\t ]*", re.IGNORECASE)
_EMAIL: TypeAdapter[str] = TypeAdapter(Email)

_TAG = "tag:yaml.org,2002:"
# What YAML makes of a value that is no text, in words.
_KINDS = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
}
# Text to PyYAML, and numbers to whatever reads the same file by YAML 1.2.
_LATER_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+|0o[0-7]+")
# Unicode calls these printable, and nothing is seen of them. Variation selectors are not here:
# Japanese names need them.
_INVISIBLE = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# What Git strips from an author's name; of nothing else it takes none.
_STRIPPED_BY_GIT = " .,:;<>\"\\'"


@dataclass(frozen=True)
class _Value:
    """A value as it stands in the file, and what is wrong with its type."""

    line: int
    text: str
    problem: str = ""


@dataclass(frozen=True)
class _Entry:
    line: int
    values: Mapping[str, _Value]


@dataclass
class _Findings:
    """The problems of a file, which are told in the order of its lines."""

    path: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, sentence: str) -> None:
        """Note a problem; line 0 is the file as a whole."""
        self.found.append((line, sentence))

    def refuse_crowd(self, learners: int) -> None:
        """Raise InputError if there are more learners than a lab has, and say nothing else."""
        if learners > MAX_LEARNERS:
            raise InputError(
                [f"{self.path}: holds more than {MAX_LEARNERS} learners: make several classes"]
            )

    def refuse_if_any(self) -> None:
        """Raise InputError with all problems, if there are any."""
        if self.found:
            found = sorted(self.found, key=lambda problem: problem[0])
            raise InputError(
                [f"{self.path}{f':{line}' if line else ''}: {text}" for line, text in found]
            )


def read_roster(path: str) -> list[dict[str, str | None]]:
    """Return the learners in the file `path`, in its order, as `{id, name, email, group}`.

    The file is CSV if it is called so, and YAML otherwise. Raises InputError with every problem,
    each naming file, line, value and fix.
    """
    ending = Path(path).suffix.lower()
    if ending in _SPREADSHEETS:
        raise InputError([f"{path}: is a spreadsheet: save it as CSV, or write it as YAML"])
    if ending in {".tsv", ".tab"}:
        raise InputError([f"{path}: {_BY_TABS}"])
    text = read_text(path, "roster")
    findings = _Findings(path)
    read = _csv_entries if ending == ".csv" else _yaml_entries
    rows = _rows(read(text, findings), findings)
    findings.refuse_if_any()
    return rows


def _yaml_entries(text: str, findings: _Findings) -> list[_Entry]:
    _refuse_table(text, findings)
    root = compose_yaml(findings.path, text)
    if isinstance(root, yaml.MappingNode):
        root = _learners(root, findings)
    if isinstance(root, yaml.SequenceNode) and root.tag == f"{_TAG}seq":
        findings.refuse_crowd(len(root.value))
        entries = [_yaml_entry(node, findings) for node in root.value]
        return [entry for entry in entries if entry]
    # An empty file may be one that was not written to its end: nobody is taken out for that.
    findings.add(0, "a list of learners is needed; `learners: []` is a class without any")
    findings.refuse_if_any()
    return []


def _refuse_table(text: str, findings: _Findings) -> None:
    """Refuse a table that is called as if it were YAML, of which YAML would say anything."""
    line, first = _first_line(text)
    cells = {cell.strip(" \"'").casefold() for cell in re.split(r"[,;\t]", first)}
    if {"id", "name"} <= cells or _SEPARATOR.fullmatch(first):
        findings.add(
            line,
            "is a table, and the file is not called so: give it a name that ends in .csv, or write"
            " it as YAML",
        )
        findings.refuse_if_any()


def _first_line(text: str) -> tuple[int, str]:
    """Return the number and the text of the first line that is not empty."""
    lines = enumerate(text.splitlines(), 1)
    return next(((number, line) for number, line in lines if line.strip()), (1, ""))


def _learners(root: yaml.MappingNode, findings: _Findings) -> yaml.Node | None:
    learners = None
    for key, value in root.value:
        if _key(key) != "learners":
            findings.add(
                _line(key), f"{_shown(_key(key))}: there is no such key; `learners` is known"
            )
        elif learners is not None:
            findings.add(_line(key), "`learners` is there twice: make it one list")
        else:
            learners = value
    return learners


def _yaml_entry(node: yaml.Node, findings: _Findings) -> _Entry | None:
    if not isinstance(node, yaml.MappingNode) or node.tag != f"{_TAG}map":
        findings.add(
            _line(node), "a learner has keys and values, such as `{id: ada, name: Ada Lovelace}`"
        )
        return None
    values: dict[str, _Value] = {}
    for key_node, value_node in node.value:
        key = _key(key_node)
        if key not in _KNOWN:
            findings.add(_line(key_node), _unknown("key", key))
        elif key in values:
            findings.add(_line(key_node), f"{key} is there twice: keep one")
        else:
            value = _yaml_value(key, value_node)
            if value is not None:
                values[key] = value
    return _Entry(_line(node), values)


def _yaml_value(key: str, node: yaml.Node) -> _Value | None:
    """Return a value, or None for one that is empty, which is to leave it out."""
    if not isinstance(node, yaml.ScalarNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
        return _Value(_line(node), "", f"text is needed, and this is {kind}")
    kind = node.tag.removeprefix(_TAG)
    if kind == "str" and node.style is None and _LATER_NUMBER.fullmatch(node.value):
        kind = "float"
    if not node.value or (kind == "null" and key not in _NEEDED):
        return None
    if kind == "str":
        return _Value(_line(node), node.value)
    read_as = _KINDS.get(kind, _shown(kind))
    return _Value(
        _line(node),
        node.value,
        f"text is needed, and YAML reads this as {read_as}: put it in quotes",
    )


def _key(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else "…"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _csv_entries(text: str, findings: _Findings) -> list[_Entry]:
    number, first = _first_line(text)
    named = _SEPARATOR.fullmatch(first)
    reader = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=_delimiter(number, first, named["sign"] if named else None, findings),
        skipinitialspace=True,
        strict=True,
    )
    header: list[str] = []
    entries: list[_Entry | None] = []
    line = 1
    try:
        for record in reader:
            values = [value.strip(" ") for value in record]
            if not any(values) or (named and line == number):
                pass
            elif not header:
                header = _header(values)
                _check_header(line, header, findings)
            else:
                entries.append(_csv_entry(line, header, values, findings))
                findings.refuse_crowd(len(entries))
            line = reader.line_num + 1
    except csv.Error as error:
        findings.add(line, f"is no CSV: {error}: check the quotes of the values")
    if not header:
        findings.add(0, "a header is needed in the first line: id,name,email,group")
    return [entry for entry in entries if entry]


def _delimiter(line: int, first: str, named: str | None, findings: _Findings) -> str:
    """Return what stands between the columns, or refuse what no reader here would split by it.

    + first: the first line, and `named` the sign that it names, if it is such a line
    """
    if named is not None and named not in set(",;\t"):
        findings.add(
            line,
            f"names {_shown(named)} as what separates the columns: save the file with commas or"
            " semicolons, and without this line",
        )
    elif named == "\t" or (named is None and "\t" in first and not set(",;") & set(first)):
        findings.add(line, _BY_TABS)
    elif named is None and re.match(r"learners:|- |---", first):
        findings.add(line, "is YAML, and the file is called .csv: give it a name ending in .yaml")
    findings.refuse_if_any()
    return named or (";" if ";" in first else ",")


def _header(values: list[str]) -> list[str]:
    """Return the names of the columns, of which spreadsheets begin some with a capital letter."""
    return [value.casefold() if value.casefold() in _KNOWN else value for value in values]


def _check_header(line: int, header: list[str], findings: _Findings) -> None:
    named = [name for name in header if name]
    unknown = [name for name in dict.fromkeys(named) if name not in _KNOWN]
    if len(unknown) > 1 and not set(_NEEDED) <= set(named):
        listing = ", ".join(_shown(name[:20]) for name in unknown[:5])
        listing += ", …" if len(unknown) > 5 else ""
        findings.add(line, f"{listing} are no columns of a roster: {_HEADER}{_renaming(named)}")
        findings.refuse_if_any()
    header = named
    for name in dict.fromkeys(header):
        if name not in _KNOWN:
            findings.add(line, _unknown("column", name))
        elif header.count(name) > 1:
            findings.add(line, f"the column {name} is there twice: keep one")
    for name in _NEEDED:
        if name not in header:
            findings.add(line, f"the column {name} is missing: the header is id,name,email,group")
    # Without the right columns nothing else can be told.
    findings.refuse_if_any()


def _renaming(header: Sequence[str]) -> str:
    """Return what makes the columns of another program's export those of a roster."""
    steps = []
    parts = [name for name in header if name.casefold() in _PARTS_OF_NAMES]
    if len(parts) > 1 and "name" not in header:
        steps.append(f"put {' and '.join(map(_shown, parts[:2]))} together into name")
    for known, others in _CALLED.items():
        found = next((name for name in header if name.casefold() in others), None)
        if found and known not in header and not (known == "name" and parts):
            # An id becomes a name in the cluster, and other programs allow more.
            shape = " in small letters" if known == "id" else ""
            steps.append(f"call {_shown(found)} {known}{shape}")
    if "id" not in header and not any("id in small" in step for step in steps):
        steps.append("add id, a short name such as `ada`")
    steps.append("take the others out")
    return f"; {', '.join(steps[:-1])}, and {steps[-1]}" if steps[:-1] else f"; {steps[-1]}"


def _csv_entry(
    line: int, header: list[str], values: list[str], findings: _Findings
) -> _Entry | None:
    # Empty columns that pad the header or a row say nothing.
    needed = max(number for number, name in enumerate(header, 1) if name)
    given = max((number for number, value in enumerate(values, 1) if value), default=0)
    if len(values) < needed or given > len(header):
        findings.add(
            line,
            f"has {len(values)} values, and the header has {needed}: put a value that holds"
            " the separator in quotes",
        )
        return None
    pairs = list(zip(header, values, strict=False))
    nameless = next((value for key, value in pairs if value and not key), None)
    if nameless is not None:
        findings.add(
            line,
            f"{_shown(nameless)} is in a column without a name: name the column in the header, or"
            " take it out",
        )
    return _Entry(line, {key: _Value(line, value) for key, value in pairs if value and key})


def _rows(entries: Sequence[_Entry], findings: _Findings) -> list[dict[str, str | None]]:
    proposals = _Proposals(entries)
    rows = []
    for entry in entries:
        row: dict[str, str | None] = dict.fromkeys(_KNOWN)
        for key, check in _CHECKS.items():
            value = entry.values.get(key)
            if value is not None:
                row[key] = value.text
                _check(key, value, check, proposals, findings)
            elif key == "id":
                findings.add(entry.line, f"id is missing: {proposals.advice(entry)}")
            elif key == "name":
                findings.add(entry.line, "name is missing: write one, such as `Ada Lovelace`")
        if row["email"] is None:
            row["email"] = f"{row['id']}@example.org"
        rows.append(row)
    _check_distinct(entries, findings)
    return rows


def _check(
    key: str,
    value: _Value,
    check: Callable[[str], object],
    proposals: _Proposals,
    findings: _Findings,
) -> None:
    try:
        if value.problem:
            raise ValueError(value.problem)
        check(value.text)
    except ValueError as error:
        told = f"{key} {_shown(value.text)}" if value.text else key
        fix = proposals.instead_of(value.text) if key == "id" and not value.problem else None
        findings.add(
            value.line, f"{told} is refused: {error}" + (f"; `{fix}` is free" if fix else "")
        )


def _check_distinct(entries: Sequence[_Entry], findings: _Findings) -> None:
    """Note ids that are one to a reader, or to a file system, although they are spelled apart."""
    seen: dict[str, _Value] = {}
    for entry in entries:
        value = entry.values.get("id")
        if value is None or value.problem:
            continue
        first = seen.setdefault(_folded(value.text), value)
        if first is not value:
            same = "is there" if first.text == value.text else f"is {_shown(first.text)}"
            findings.add(
                value.line,
                f"id {_shown(value.text)} {same} in line {first.line}, too: every learner needs"
                " an id of their own",
            )


class _Proposals:
    """Ids for those whose own is missing or refused; no two are the same, and all are allowed."""

    def __init__(self, entries: Sequence[_Entry]) -> None:
        ids = (entry.values.get("id") for entry in entries)
        self._taken = {value.text for value in ids if value and not value.problem}

    def instead_of(self, text: str) -> str | None:
        """Return an id that is free and close to `text`, or None if there is none."""
        slug = propose_seat(text)
        if slug is None:
            return None
        # Room for a number.
        slug = slug[: SEAT_LENGTH - 5].rstrip("-")
        for number in range(1, MAX_LEARNERS + 2):
            candidate = slug if number == 1 else f"{slug}-{number}"
            if candidate not in self._taken:
                try:
                    self._taken.add(check_seat(candidate))
                except ValueError:
                    # Of reserved names some end with a number, and others are whole families.
                    if number > 1:
                        return None
                else:
                    return candidate
        return None

    def advice(self, entry: _Entry) -> str:
        """Return what to write where the id is missing."""
        name = entry.values.get("name")
        slug = self.instead_of(name.text) if name else None
        if slug:
            return f"write one, such as `{slug}` for {_shown(name.text if name else '')}"
        return "write one of a-z, 0-9 and `-`, such as `ada`"


def _line_of_text(value: str) -> None:
    if not value.strip():
        raise ValueError("one line of printable characters is needed")
    if len(value) > _MAX_LINE:
        raise ValueError(f"at most {_MAX_LINE} characters are allowed, and it has {len(value)}")
    for sign in value:
        if not sign.isprintable() or sign in _INVISIBLE:
            described = f"U+{ord(sign):04X} {unicodedata.name(sign, '')}".rstrip()
            raise ValueError(f"take out {described}: one line of printable characters is needed")


def _name(value: str) -> None:
    _line_of_text(value)
    if not value.strip(_STRIPPED_BY_GIT):
        raise ValueError("a name is needed that is more than punctuation: it signs commits")


def _email(value: str) -> None:
    try:
        _EMAIL.validate_python(value)
    except ValidationError as error:
        message = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ValueError(message) from None


_CHECKS: Mapping[str, Callable[[str], object]] = {
    "id": check_seat,
    "name": _name,
    "email": _email,
    "group": _line_of_text,
}


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _unknown(what: str, name: str) -> str:
    return f"{_shown(name)}: there is no such {what}; known are {', '.join(_KNOWN)}"


def _shown(text: str) -> str:
    shown = repr(text)
    return shown if len(shown) <= 80 else f"{shown[:60]}…"
