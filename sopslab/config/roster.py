"""Read a roster: who is in a class, from YAML or CSV, with all problems at once.

Nothing is corrected on reading: a wrong value is refused, with its place and the fix.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from sopslab.config.inputfile import Findings, compose_yaml, read_text
from sopslab.config.roster_columns import Meaning, meanings
from sopslab.config.roster_values import (
    CHECKS,
    KNOWN,
    LEARNER,
    MACHINE,
    NEEDED,
    Proposals,
    default_email,
    folded,
    shown,
)
from sopslab.config.tables import SPREADSHEETS, NoTable, first_line, named_separator, records
from sopslab.errors import InputError

MAX_LEARNERS = 1000
# The roster's names for columns of other programs, in the order in which a message lists them.
_CALLED = {
    "name": Meaning.NAME,
    "email": Meaning.EMAIL,
    "group": Meaning.GROUP,
    "id": Meaning.LOGIN,
}
# For exports of other programs, which have no columns of machines.
_HEADER = "a roster needs the columns id and name, and may have email, group and expires"
_BY_TABS = (
    "is a table with tabs between its columns: save it as CSV, with commas or semicolons, or write"
    " it as YAML; or let `sopslab roster import` do that"
)

_TAG = "tag:yaml.org,2002:"
# The types that YAML may give to a value that should be text, in words.
_KINDS = {
    "bool": "true or false",
    "int": "a number",
    "float": "a number",
    "null": "nothing",
    "timestamp": "a date",
}
# PyYAML reads these as text, and readers of YAML 1.2 as numbers.
_LATER_NUMBER = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+|0o[0-7]+")


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


def read_roster(path: str) -> list[dict[str, str | None]]:
    """Return the learners in the file `path`, in its order.

    Each has all keys of `LEARNER`, and the keys of `MACHINE` that the file gives. The file is CSV
    if its name ends in .csv, and YAML otherwise. Raises InputError with every problem, each naming
    file, line, value and fix.
    """
    ending = Path(path).suffix.lower()
    if ending in SPREADSHEETS:
        raise InputError([f"{path}: is a spreadsheet: save it as CSV, or write it as YAML"])
    if ending in {".tsv", ".tab"}:
        raise InputError([f"{path}: {_BY_TABS}"])
    text = read_text(path, "roster")
    findings = Findings(path)
    read = _csv_entries if ending == ".csv" else _yaml_entries
    rows = _rows(read(text, findings), findings)
    findings.refuse_if_any()
    return rows


def without_machines(rows: Iterable[Mapping[str, str | None]]) -> list[dict[str, str | None]]:
    """Return learners without their machines, for a class on one machine."""
    return [{key: row[key] for key in LEARNER} for row in rows]


def refuse_crowd(path: str, learners: int) -> None:
    """Raise InputError, with this problem only, if a lab cannot have so many learners."""
    if learners > MAX_LEARNERS:
        raise InputError([f"{path}: holds more than {MAX_LEARNERS} learners: make several classes"])


def _yaml_entries(text: str, findings: Findings) -> list[_Entry]:
    _refuse_table(text, findings)
    root = compose_yaml(findings.path, text)
    if isinstance(root, yaml.MappingNode):
        root = _learners(root, findings)
    if isinstance(root, yaml.SequenceNode) and root.tag == f"{_TAG}seq":
        refuse_crowd(findings.path, len(root.value))
        entries = [_yaml_entry(node, findings) for node in root.value]
        return [entry for entry in entries if entry]
    # An empty file may not have been written completely: nobody must lose a seat for that.
    findings.add(0, "a list of learners is needed; `learners: []` is a class without any")
    findings.refuse_if_any()
    return []


def _refuse_table(text: str, findings: Findings) -> None:
    """Refuse a table in a file that is not named .csv: as YAML it would be misread."""
    line, first = first_line(text)
    cells = {cell.strip(" \"'").casefold() for cell in re.split(r"[,;\t]", first)}
    if {"id", "name"} <= cells or named_separator(first) is not None:
        findings.add(
            line,
            "is a table, and the file's name does not say so: give it a name that ends in .csv,"
            " or write it as YAML",
        )
        findings.refuse_if_any()


def _learners(root: yaml.MappingNode, findings: Findings) -> yaml.Node | None:
    learners = None
    for key, value in root.value:
        if _key(key) != "learners":
            findings.add(
                _line(key), f"{shown(_key(key))}: there is no such key; `learners` is known"
            )
        elif learners is not None:
            findings.add(_line(key), "`learners` is there twice: make it one list")
        else:
            learners = value
    return learners


def _yaml_entry(node: yaml.Node, findings: Findings) -> _Entry | None:
    if not isinstance(node, yaml.MappingNode) or node.tag != f"{_TAG}map":
        findings.add(
            _line(node), "a learner has keys and values, such as `{id: ada, name: Ada Lovelace}`"
        )
        return None
    values: dict[str, _Value] = {}
    for key_node, value_node in node.value:
        key = _key(key_node)
        if key not in KNOWN:
            findings.add(_line(key_node), _unknown("key", key))
        elif key in values:
            findings.add(_line(key_node), f"{key} is there twice: keep one")
        else:
            value = _yaml_value(key, value_node)
            if value is not None:
                values[key] = value
    return _Entry(_line(node), values)


def _yaml_value(key: str, node: yaml.Node) -> _Value | None:
    """Return a value, or None for an empty one, which counts as left out."""
    if not isinstance(node, yaml.ScalarNode):
        kind = "a list" if isinstance(node, yaml.SequenceNode) else "a mapping"
        return _Value(_line(node), "", f"text is needed, and this is {kind}")
    kind = node.tag.removeprefix(_TAG)
    if kind == "int" and key == "port":
        kind = "str"
    if kind == "str" and node.style is None and _LATER_NUMBER.fullmatch(node.value):
        kind = "float"
    if not node.value or (kind == "null" and key not in NEEDED):
        return None
    # YAML reads a moment as a timestamp: take it as it is written.
    if kind == "str" or (key == "expires" and kind == "timestamp"):
        return _Value(_line(node), node.value)
    read_as = _KINDS.get(kind, shown(kind))
    return _Value(
        _line(node),
        node.value,
        f"text is needed, and YAML reads this as {read_as}: put it in quotes",
    )


def _key(node: yaml.Node) -> str:
    return node.value if isinstance(node, yaml.ScalarNode) else "…"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _csv_entries(text: str, findings: Findings) -> list[_Entry]:
    number, first = first_line(text)
    named = named_separator(first)
    begin = 1 if named is None else number + 1
    header: list[str] = []
    entries: list[_Entry | None] = []
    try:
        for record in records(text, _delimiter(number, first, named, findings), begin):
            if not header:
                header = _header(record.values)
                _check_header(record.line, header, findings)
            else:
                entries.append(_csv_entry(record.line, header, record.values, findings))
                refuse_crowd(findings.path, len(entries))
    except NoTable as error:
        findings.add(error.line, str(error))
    if not header:
        findings.add(0, "a header is needed in the first line: id,name,email,group")
    return [entry for entry in entries if entry]


def _delimiter(line: int, first: str, named: str | None, findings: Findings) -> str:
    """Return the separator of the columns; refuse a file that no separator of a roster can split.

    + first: the first line that is not empty
    + named: the separator that this line names, None if it is no such line
    """
    if named is not None and named not in set(",;\t"):
        findings.add(
            line,
            f"names {shown(named)} as what separates the columns: save the file with commas or"
            " semicolons, and without this line",
        )
    elif named == "\t" or (named is None and "\t" in first and not set(",;") & set(first)):
        findings.add(line, _BY_TABS)
    elif named is None and re.match(r"learners:|- |---", first):
        findings.add(line, "is YAML, and the file is called .csv: give it a name ending in .yaml")
    findings.refuse_if_any()
    return named or (";" if ";" in first else ",")


def _header(values: Sequence[str]) -> list[str]:
    """Return the names of the columns, in small letters if known: spreadsheets capitalise some."""
    return [value.casefold() if value.casefold() in KNOWN else value for value in values]


def _check_header(line: int, header: list[str], findings: Findings) -> None:
    named = [name for name in header if name]
    unknown = [name for name in dict.fromkeys(named) if name not in KNOWN]
    if len(unknown) > 1 and not set(NEEDED) <= set(named):
        listing = ", ".join(shown(name[:20]) for name in unknown[:5])
        listing += ", …" if len(unknown) > 5 else ""
        findings.add(line, f"{listing} are not columns of a roster: {_HEADER}{_renaming(named)}")
        findings.refuse_if_any()
    header = named
    for name in dict.fromkeys(header):
        if name not in KNOWN:
            findings.add(line, _unknown("column", name))
        elif header.count(name) > 1:
            findings.add(line, f"the column {name} is there twice: keep one")
    for name in NEEDED:
        if name not in header:
            findings.add(line, f"the column {name} is missing: the header is id,name,email,group")
    # Without the right columns, nothing else can be judged.
    findings.refuse_if_any()


def _renaming(header: Sequence[str]) -> str:
    """Return advice on how the columns of another program's export become those of a roster."""
    found = meanings(header)
    steps = []
    parts = sorted([*found.get(Meaning.FIRST, ()), *found.get(Meaning.LAST, ())])
    if len(parts) > 1 and "name" not in header:
        named = " and ".join(shown(header[part]) for part in parts[:2])
        steps.append(f"put {named} together into name")
    for known, meaning in _CALLED.items():
        if meaning in found and known not in header and not (known == "name" and parts):
            # An id becomes a name in the cluster; other programs allow capital letters.
            shape = " in small letters" if known == "id" else ""
            steps.append(f"call {shown(header[found[meaning][0]])} {known}{shape}")
    if "id" not in header and Meaning.LOGIN not in found:
        steps.append("add id, a short name such as `ada`")
    steps.append("take the others out")
    told = f"{', '.join(steps[:-1])}, and {steps[-1]}" if steps[:-1] else steps[-1]
    return f"; {told}; or let `sopslab roster import` do that"


def _csv_entry(
    line: int, header: list[str], values: Sequence[str], findings: Findings
) -> _Entry | None:
    # Ignore empty columns that pad the header or a row.
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
            f"{shown(nameless)} is in a column without a name: name the column in the header, or"
            " take it out",
        )
    return _Entry(line, {key: _Value(line, value) for key, value in pairs if value and key})


def _rows(entries: Sequence[_Entry], findings: Findings) -> list[dict[str, str | None]]:
    ids = (entry.values.get("id") for entry in entries)
    proposals = Proposals(value.text for value in ids if value and not value.problem)
    rows = []
    for entry in entries:
        row: dict[str, str | None] = dict.fromkeys(LEARNER)
        for key, check in CHECKS.items():
            value = entry.values.get(key)
            if value is not None:
                row[key] = value.text
                _check(key, value, check, proposals, findings)
            elif key == "id":
                findings.add(entry.line, f"id is missing: {_advice(entry, proposals)}")
            elif key == "name":
                findings.add(entry.line, "name is missing: write one, such as `Ada Lovelace`")
        if "host" not in row and (alone := [key for key in MACHINE if key in row]):
            findings.add(
                entry.line, f"{', '.join(alone)}: host is missing, and says whose machine that is"
            )
        if row["email"] is None:
            row["email"] = default_email(row["id"])
        rows.append(row)
    _check_distinct(entries, findings)
    _check_machines(entries, findings)
    return rows


def _check(
    key: str,
    value: _Value,
    check: Callable[[str], object],
    proposals: Proposals,
    findings: Findings,
) -> None:
    try:
        if value.problem:
            raise ValueError(value.problem)
        check(value.text)
    except ValueError as error:
        told = f"{key} {shown(value.text)}" if value.text else key
        fix = proposals.instead_of(value.text) if key == "id" and not value.problem else None
        findings.add(
            value.line, f"{told} is refused: {error}" + (f"; `{fix}` is free" if fix else "")
        )


def _check_distinct(entries: Sequence[_Entry], findings: Findings) -> None:
    """Note ids that are the same to a reader or to a file system, even if the spelling differs."""
    seen: dict[str, _Value] = {}
    for entry in entries:
        value = entry.values.get("id")
        if value is None or value.problem:
            continue
        first = seen.setdefault(folded(value.text), value)
        if first is not value:
            same = "is there" if first.text == value.text else f"is {shown(first.text)}"
            findings.add(
                value.line,
                f"id {shown(value.text)} {same} in line {first.line}, too: every learner needs"
                " an id of their own",
            )


def _check_machines(entries: Sequence[_Entry], findings: Findings) -> None:
    """Note learners who would share a machine."""
    seen: dict[tuple[str, str], _Value] = {}
    for entry in entries:
        value = entry.values.get("host")
        if value is None or value.problem:
            continue
        port = entry.values.get("port")
        place = (value.text.casefold(), port.text if port else "22")
        first = seen.setdefault(place, value)
        if first is not value:
            findings.add(
                value.line,
                f"host {shown(value.text)} is there in line {first.line}, too: every learner needs"
                " a machine of their own",
            )


def _advice(entry: _Entry, proposals: Proposals) -> str:
    """Return advice on what to write as the id that is missing."""
    name = entry.values.get("name")
    slug = proposals.instead_of(name.text) if name else None
    if slug:
        return f"write one, such as `{slug}` for {shown(name.text if name else '')}"
    return "write one of a-z, 0-9 and `-`, such as `ada`"


def _unknown(what: str, name: str) -> str:
    return f"{shown(name)}: there is no such {what}; known are {', '.join(KNOWN)}"
