"""A file that another program has written is read as a table, or refused with the place."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from sopslab.config.tables import Table, is_formula, read_table
from sopslab.errors import Exit, InputError

ROWS = (("name", "mail"), ("Zoë", "zoe@example.org"), ("Ada", "ada@example.org"))


def table_of(folder: Path, content: str | bytes, name: str = "class.csv") -> Table:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(str(path), 1000)


def rows_of(table: Table) -> tuple[tuple[str, ...], ...]:
    return (table.header.values, *(record.values for record in table.records))


def problem_of(folder: Path, content: str | bytes, name: str = "class.csv") -> str:
    """Return the problem without the path of the file."""
    with pytest.raises(InputError) as caught:
        table_of(folder, content, name)
    assert caught.value.code is Exit.INPUT
    (problem,) = caught.value.problems
    assert problem.startswith(f"{folder / name}:")
    assert problem.isprintable()
    return problem.removeprefix(str(folder / name))


TEXT = "name;mail\nZoë;zoe@example.org\nAda;ada@example.org\n"
ENCODED = {
    "UTF-8": TEXT.encode(),
    "UTF-8 with a mark": TEXT.encode("utf-8-sig"),
    "UTF-16, little end first": b"\xff\xfe" + TEXT.encode("utf-16-le"),
    "UTF-16, big end first": b"\xfe\xff" + TEXT.encode("utf-16-be"),
    "Windows-1252": TEXT.encode("cp1252"),
}


@pytest.mark.parametrize("case", ENCODED)
def test_the_encoding_follows_from_the_bytes_and_is_told(case: str, tmp_path: Path) -> None:
    table = table_of(tmp_path, ENCODED[case])
    assert rows_of(table) == ROWS
    assert table.encoding == case.split(",")[0].split(" with")[0]


DAMAGED = {
    # 0x8f is no character of Windows-1252.
    "neither": (b"name\nAda\nZo\x8f\n", ":3: is neither UTF-8 nor Windows-1252"),
    "UTF-8 that is cut": (
        "name\nZoë\nZoë".encode()[:-1],
        ":3: is not UTF-8, and what is before it",
    ),
    "UTF-8 with a mark and a cut": ("\ufeffname\nZoë".encode()[:-1], ":2: is not UTF-8, and what"),
    "UTF-16 that is cut": (TEXT.encode("utf-16")[:-1], ": begins as UTF-16 and is damaged"),
    "UTF-16 without a mark": (TEXT.encode("utf-16-le"), ":1: holds a zero byte"),
    "UTF-32": (TEXT.encode("utf-32"), ":1: holds a zero byte"),
    "nothing": (b"", ": is empty"),
    "empty rows": (b"\r\n;;;\r\n  \r\n", ": is empty"),
    "a quote without an end": (b'name;mail\n"Ada;x\nZoe;y\n', ":2: is no CSV: "),
    "a quote within": (b'name;mail\n"Ada" L;x\n', ":2: is no CSV: "),
    "an unknown separator": (b"sep=:\nname:mail\n", ":1: names ':' as what separates the columns"),
    "no separator": (b"sep=\nname,mail\n", ":1: names '' as what separates the columns"),
    "many columns": (b"a," * 1001 + b"\n", ":1: has more than 1000 columns"),
    "a spreadsheet by its bytes": (b"PK\x03\x04", ": is a spreadsheet or another archive"),
    "an old spreadsheet by its bytes": (b"\xd0\xcf\x11\xe0", ": is a spreadsheet, whatever"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_what_is_no_table_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    content, expected = DAMAGED[case]
    assert problem_of(tmp_path, content).startswith(expected)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("class.xlsx", "is a spreadsheet: save it as CSV, and import that"),
        ("Class.ODS", "is a spreadsheet: save it as CSV"),
        ("class.yaml", "is YAML, and no table: `sopslab roster check`"),
    ],
)
def test_a_file_of_another_kind_is_refused_for_what_it_is_called(
    name: str, expected: str, tmp_path: Path
) -> None:
    assert expected in problem_of(tmp_path, TEXT, name)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv: cannot be read: No such file"):
        read_table(str(tmp_path / "absent.csv"), 10)


SEPARATED = {
    "commas": ("name,mail\nAda,x\n", "commas"),
    "semicolons": ("name;mail\nAda;x\n", "semicolons"),
    "tabs": ("name\tmail\nAda\tx\n", "tabs"),
    "bars": ("name|mail\nAda|x\n", "vertical bars"),
    "the most columns": ("name;mail;where, if not here\nAda;x;\n", "semicolons"),
    "commas in quotes": ('"name, all of it";mail\nAda;x\n', "semicolons"),
    "as many of both": ("name, all;mail\nAda;x\n", "semicolons"),
    "tabs before commas": ("name, all\tmail\nAda\tx\n", "tabs"),
    "named": ("sep=|\nname;all|mail\nAda|x\n", "vertical bars"),
    "named after an empty line": ("\nsep=,\nname;all,mail\nAda,x\n", "commas"),
    "named and padded": ("sep=;;;\nname;mail;\nAda;x;\n", "semicolons"),
    "named after a form feed": ("\x0c\nsep=;\nname;mail\nAda;x\n", "semicolons"),
}


@pytest.mark.parametrize("case", SEPARATED)
def test_the_separator_is_the_one_that_is_named_or_gives_the_most_columns(
    case: str, tmp_path: Path
) -> None:
    text, separator = SEPARATED[case]
    table = table_of(tmp_path, text)
    assert table.separator == separator
    assert table.header.values[0].startswith("name")
    assert [record.values[:2] for record in table.records] == [("Ada", "x")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_lines_are_counted_as_they_stand_in_the_file(end: str, tmp_path: Path) -> None:
    lines = ["", "name,mail", ",", '"Ada', 'Lovelace",x', "", "Zoe,y"]
    table = table_of(tmp_path, end.join(lines))
    assert table.header.line == 2
    assert [record.line for record in table.records] == [4, 7]
    assert table.records[0].values == (f"Ada{end}Lovelace", "x")


def test_no_more_rows_are_read_than_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text("name,mail\n" + "Ada,x\n" * 100_000)
    assert len(read_table(str(path), 20).records) == 21


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"name," + b"a" * 50_000_000, "is larger than 8 MiB, which no export of a class is"),
        (b"name," + b"a" * 8_000_000, "field larger than field limit"),
        (b"," * 8_000_000, "is empty"),
    ],
)
def test_a_large_file_takes_little_memory(content: bytes, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=expected):
            read_table(str(path), 1000)
        assert tracemalloc.get_traced_memory()[1] < 250_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("cell", ["=1+1", " =1", "+1", "-1", "@x", "|x", "%x", "\tx", "＝1", "＠x"])
def test_what_a_spreadsheet_would_calculate_is_a_formula(cell: str) -> None:
    assert is_formula(cell)
    assert not is_formula(f"x{cell}")


def test_nothing_is_no_formula() -> None:
    assert not is_formula("")
