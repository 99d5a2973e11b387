"""A roster is read as it stands, or refused with every problem: place, value and fix."""

from __future__ import annotations

import csv
import io
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sopslab.config import roster
from sopslab.config.environment import at_seat
from sopslab.config.naming import (
    check_seat,
    new_generation,
    propose_seat,
    seat_system_namespace,
    seat_user,
)
from sopslab.config.roster import read_roster
from sopslab.config.settings import Seat
from sopslab.errors import Exit, InputError
from sopslab.layout import PROJECT
from tests.work import calls_during

ADA = {
    "id": "ada", "name": "Ada Lovelace", "email": "ada@example.org", "group": None, "expires": None,
}  # fmt: skip
# The names that RFC 1123 allows, independent of the lab's own pattern.
LABEL = re.compile(r"(?=.{1,63}$)[a-z0-9]([-a-z0-9]*[a-z0-9])?")

Row = Mapping[str, str | None]


def roster_of(folder: Path, content: str | bytes, name: str = "class.yaml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def rows_of(folder: Path, content: str | bytes, name: str = "class.yaml") -> list[Row]:
    return list(read_roster(str(roster_of(folder, content, name))))


def problems_of(folder: Path, content: str | bytes, name: str = "class.yaml") -> list[str]:
    """Return the problems without the path of the file; check that each is one short line."""
    path = roster_of(folder, content, name)
    with pytest.raises(InputError) as caught:
        read_roster(str(path))
    assert caught.value.code is Exit.INPUT
    assert all(problem.startswith(f"{path}:") for problem in caught.value.problems)
    problems = [problem.removeprefix(str(path)) for problem in caught.value.problems]
    assert all(problem.isprintable() and len(problem) < 400 for problem in problems)
    return problems


def as_yaml(learners: Sequence[object]) -> str:
    return yaml.safe_dump({"learners": learners}, allow_unicode=True)


def yaml_text(value: str) -> str:
    """Return a text in quotes, with every character escaped."""
    return '"' + "".join(f"\\U{ord(sign):08X}" for sign in value) + '"'


def as_csv(learners: Sequence[Mapping[str, str]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, ("id", "name", "email", "group"), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(learners)
    return text.getvalue()


def learner(**values: object) -> dict[str, object]:
    return {"id": "ada", "name": "Ada", **values}


# What is read.


def test_the_example_is_a_roster() -> None:
    rows = read_roster(str(PROJECT / "inventories" / "rosters" / "example.yaml"))
    assert [row["id"] for row in rows] == ["ada", "zoe", "lei"]
    assert rows[2] == ADA | {"id": "lei", "name": "李雷", "email": "lei@example.org"}


def test_a_list_is_as_good_as_a_mapping(tmp_path: Path) -> None:
    assert rows_of(tmp_path, "[{id: ada, name: Ada Lovelace}]") == [ADA]
    assert rows_of(tmp_path, "learners: [{id: ada, name: Ada Lovelace}]") == [ADA]


def test_the_order_of_the_file_is_kept(tmp_path: Path) -> None:
    ids = ["zoe", "ada", "007", "lei"]
    assert [row["id"] for row in rows_of(tmp_path, as_yaml([learner(id=i) for i in ids]))] == ids


CSV = {
    "comma": "id,name,email,group\nada,Ada Lovelace,ada@example.org,\n",
    "semicolon": "id;name;email;group\nada;Ada Lovelace;ada@example.org;\n",
    "byte-order-mark": "\ufeffid,name\nada,Ada Lovelace\n",
    "windows-line-ends": "id,name\r\nada,Ada Lovelace\r\n",
    "no-line-end": "id,name\nada,Ada Lovelace",
    "other-order": "name,group,id\nAda Lovelace,,ada\n",
    "quotes": '"id","name"\n"ada","Ada Lovelace"\n',
    "blanks": "id, name, email\nada , Ada Lovelace , \n",
    "empty-rows": "\nid,name\n\nada,Ada Lovelace\n,\n\n",
    "empty-columns": "id;name;email;;\r\nada;Ada Lovelace;;;\r\n;;;;\r\n",
    "empty-column-between": "id,,name\nada,,Ada Lovelace\n",
    "empty-column-first": ";id;name\n;ada;Ada Lovelace\n",
    "empty-columns-of-the-header": "id,name,,,\nada,Ada Lovelace\n",
    "empty-columns-of-rows": "id,name\nada,Ada Lovelace,,,\n",
    "empty-columns-with-blanks": "id, name, , \nada, Ada Lovelace, , \n",
    "capital-letters": "Id,NAME,Email\nada,Ada Lovelace,\n",
    "separator-semicolon": "sep=;\r\nid;name\r\nada;Ada Lovelace\r\n",
    "separator-comma": "sep=,\nid,name\nada,Ada Lovelace\n",
    "separator-in-quotes": '"sep=;"\nid;name\nada;Ada Lovelace\n',
    "separator-in-capitals-padded": "SEP=;;;\nid;name;;\nada;Ada Lovelace;;\n",
    "separator-after-a-byte-order-mark": "\ufeffsep=;\r\nid;name\r\nada;Ada Lovelace\r\n",
    "separator-and-empty-line": "sep=;\n\nid;name\nada;Ada Lovelace\n",
}


@pytest.mark.parametrize("case", CSV)
def test_csv_is_read_as_spreadsheets_write_it(case: str, tmp_path: Path) -> None:
    assert rows_of(tmp_path, CSV[case], "class.csv") == [ADA]
    assert rows_of(tmp_path, CSV[case], "CLASS.CSV") == [ADA]


def test_csv_may_hold_its_separator_in_quotes(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, 'id,name,group\n007,"Bond, James","a;b"\n', "class.csv")
    assert (row["id"], row["name"], row["group"]) == ("007", "Bond, James", "a;b")


@pytest.mark.parametrize(
    ("name", "content"),
    [("r.yaml", "[]"), ("r.yaml", "learners: []\n"), ("r.csv", "id,name\n")],
)
def test_a_class_without_learners_is_valid(name: str, content: str, tmp_path: Path) -> None:
    assert rows_of(tmp_path, content, name) == []


@pytest.mark.parametrize("content", ["", "# nothing\n", "null\n", "learners:\n", "---\n"])
def test_an_empty_file_is_no_class_without_learners(content: str, tmp_path: Path) -> None:
    # With --prune, a file that was only half written would remove everybody.
    assert problems_of(tmp_path, content) == [
        ": a list of learners is needed; `learners: []` is a class without any"
    ]


@pytest.mark.parametrize("content", ["", "\n\n", ",,\n"])
def test_csv_without_a_header_is_refused(content: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, content, "class.csv")
    assert problem == ": a header is needed in the first line: id,name,email,group"


@pytest.mark.parametrize("name", ["class.yaml", "class.csv"])
def test_the_work_for_a_thousand_learners_is_ten_times_that_for_a_hundred(
    name: str, tmp_path: Path
) -> None:
    def work(count: int) -> int:
        learners = [{"id": f"learner-{n}", "name": f"Learner {n}"} for n in range(count)]
        path = roster_of(tmp_path, (as_csv if name.endswith("csv") else as_yaml)(learners), name)
        return calls_during(lambda: read_roster(str(path)))

    assert work(1000) < 11 * work(100)


@pytest.mark.parametrize("name", ["class.yaml", "class.csv"])
def test_more_than_a_thousand_learners_are_refused(name: str, tmp_path: Path) -> None:
    learners = [{"id": f"learner-{n}", "name": ""} for n in range(1001)]
    content = (as_csv if name.endswith("csv") else as_yaml)(learners)
    assert problems_of(tmp_path, content, name) == [
        ": holds more than 1000 learners: make several classes"
    ]


@pytest.mark.parametrize("name", ["class.yaml", "class.csv"])
def test_of_too_many_learners_nothing_else_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(roster, "MAX_LEARNERS", 3)
    render = as_csv if name.endswith("csv") else as_yaml
    unnamed = [{"id": f"Not An Id {number}", "name": ""} for number in range(4)]
    assert len(problems_of(tmp_path, render(unnamed[:3]), name)) >= 3
    (problem,) = problems_of(tmp_path, render(unnamed), name)
    assert "more than 3 learners" in problem


def test_a_thousand_namesakes_without_ids_get_a_proposal_each(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, as_csv([{"name": "Kim"}] * 1000), "class.csv")
    assert len(set(re.findall("`kim[^`]*`", "".join(problems)))) == 1000


def test_the_work_for_namesakes_without_ids_does_not_grow_with_each(tmp_path: Path) -> None:
    def work(count: int) -> int:
        content = as_csv([{"name": "Kim"}] * count)
        return calls_during(lambda: problems_of(tmp_path, content, "class.csv"))

    assert work(1000) < 11 * work(100)


# What is refused of a file.

BROKEN = {
    "tab-as-indent": ("learners:\n\t- id: ada\n", ":2: found character '\\t' that cannot start"),
    "unclosed": ("learners: [{id: ada\n", ":2: expected ',' or '}'"),
    "alias": ("- &x {id: ada, name: Ada}\n- *x\n", ":2: aliases are not allowed: write the value"),
    "two-documents": ("[]\n---\n[]\n", ":2: but found another document"),
    "many-values": (f"- [{'a, ' * 20_000}]", ":1: more than 20000 values"),
    "deep": ("[" * 5_000, ": is nested too deeply"),
    "escape": ('- {id: ada, name: "\\UFFFFFFFF"}', ":1: holds an escape or a number out of range"),
    "text": ("ada", ": a list of learners is needed"),
    "set": ("!!set {learners}", ": a list of learners is needed"),
    "list-with-a-type": ("!!python/tuple []", ": a list of learners is needed"),
    "other-key": ("learners: []\ncourse: gitops\n", ":2: 'course': there is no such key"),
    "long-key": (f"{'a' * 78}: 1\nlearners: []\n", f":1: '{'a' * 78}': there is no such key"),
    "longer-key": (f"{'a' * 79}: 1\nlearners: []\n", f":1: '{'a' * 59}…: there is no such key"),
    "key-twice": ("learners: []\nlearners: []\n", ":2: `learners` is there twice"),
    "key-that-is-a-list": ("? [a]\n: b\nlearners: []\n", ":1: '…': there is no such key"),
    "learner-is-text": ("- ada\n", ":1: a learner has keys and values, such as `{id: ada"),
    "learner-is-nothing": ("-\n", ":1: a learner has keys and values"),
    "learner-with-a-type": ("- !!python/object:os.x {id: a, name: A}\n", ":1: a learner has keys"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_file_that_is_no_roster_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    content, expected = BROKEN[case]
    assert problems_of(tmp_path, content)[0].startswith(expected)


BROKEN_CSV = {
    "unclosed": ('id,name\nada,"Ada\n', ":2: is no CSV: unexpected end of data: check the quotes"),
    "after-quote": ('id,name\nada,"Ada" L\n', ":2: is no CSV: "),
    "other-column": ("id,name,mail\n", ":1: 'mail': there is no such column; known are id, name,"),
    "column-twice": ("id,name,id\n", ":1: the column id is there twice: keep one"),
    "no-id": ("name\nAda\n", ":1: the column id is missing: the header is id,name,email,group"),
    "no-header": ("ada,Ada\n", ":1: 'ada', 'Ada' are not columns of a roster: a roster needs the"),
    "tabs": ("id\tname\n", ":1: is a table with tabs between its columns: save it as CSV"),
    "separator-tab": ("sep=\t\nid\tname\n", ":1: is a table with tabs between its columns"),
    "separator-other": ("sep=|\nid|name\n", ":1: names '|' as what separates the columns"),
    "separator-none": ("sep=\nid,name\n", ":1: names '' as what separates the columns"),
    "separator-of-others": ("sep=;\nid,name\nada,A\n", ":2: 'id,name': there is no such column"),
    "yaml": ("learners:\n  - id: ada\n", ":1: is YAML, and the file is called .csv"),
    "yaml-list": ("- {id: ada, name: Ada}\n", ":1: is YAML, and the file is called .csv"),
    "nameless": ("id,,name\nada,x,Ada\n", ":2: 'x' is in a column without a name"),
    "nameless-at-the-end": ("id,name,\nada,Ada,x\n", ":2: 'x' is in a column without a name"),
    "capital-letters-twice": ("id,name,ID\n", ":1: the column id is there twice: keep one"),
    "too-many-and-empty": ("id,name\nada,L,Ada,,\n", ":2: has 5 values, and the header has 2"),
    "too-few-padded": ("id,name,email,,\nada,Ada\n", ":2: has 2 values, and the header has 3"),
    "too-many": ("id,name\n\nada,Lovelace, Ada\n", ":3: has 3 values, and the header has 2: put"),
    "too-few": ("id,name\nada\n", ":2: has 1 values, and the header has 2"),
    "no-name": ("id,name\nada,\n", ":2: name is missing"),
    "line-in-a-value": ('id,name\n"a\nb",Ada\nx!,X\n', ":2: id 'a\\nb' is refused"),
}


@pytest.mark.parametrize("case", BROKEN_CSV)
def test_csv_that_is_no_roster_is_refused_with_its_line(case: str, tmp_path: Path) -> None:
    content, expected = BROKEN_CSV[case]
    assert problems_of(tmp_path, content, "class.csv")[0].startswith(expected)


# The headers of exports, and the changes that make rosters of them.
EXPORTS = {
    "Moodle": (
        "First name,Last name,ID number,Email address,Groups",
        ["put 'First name' and 'Last name' together into name", "call 'Email address' email",
         "call 'Groups' group", "add id, a short name such as `ada`"],
    ),
    "Moodle in German": (
        "Vorname;Nachname;E-Mail-Adresse;Gruppen",
        ["put 'Vorname' and 'Nachname' together", "call 'E-Mail-Adresse' email", "add id"],
    ),
    "Moodle with user names": (
        '"Username","First name","Surname","Email address"',
        ["call 'Username' id in small letters", "put 'First name' and 'Surname' together"],
    ),
    "GitHub Classroom": (
        '"identifier","github_username","github_id","name"',
        ["'identifier', 'github_username', 'github_id' are no", "call 'github_username' id"],
    ),
    "Canvas": ("Student,ID,SIS User ID,SIS Login ID,Section", ["call 'Student' name"]),
    "Blackboard": (
        "Last Name,First Name,Username,Student ID,Last Access,Availability",
        ["call 'Username' id in small letters", "put 'Last Name' and 'First Name' together"],
    ),
    "Google Classroom": ("First Name,Last Name,Email Address", ["call 'Email Address' email"]),
    "an answer to a form": ("Timestamp,What is your name?", ["take the others out"]),
}  # fmt: skip


@pytest.mark.parametrize("program", EXPORTS)
def test_of_an_export_it_is_told_in_one_sentence_how_it_becomes_a_roster(
    program: str, tmp_path: Path
) -> None:
    header, wanted = EXPORTS[program]
    (problem,) = problems_of(tmp_path, f"\ufeff{header}\n1,2,3,4,5,6\n", "class.csv")
    assert problem.startswith(":1: ")
    assert (
        "a roster needs the columns id and name, and may have email, group and expires" in problem
    )
    assert [part for part in wanted if part not in problem] == []


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("CLASS.TSV", "id\tname\nada\tAda\n", "tabs between its columns: save it as CSV"),
        ("class.tab", "id\tname\n", "or write it as YAML"),
        ("class.xlsx", "PK", "is a spreadsheet: save it as CSV, or write it as YAML"),
        ("Class.ODS", "", "is a spreadsheet: save it as CSV"),
        ("class.csv", b"PK\x03\x04\x14", "is a spreadsheet or another archive"),
        ("class.csv", b"\xd0\xcf\x11\xe0\xa1", "is a spreadsheet, whatever it is called"),
        ("class.csv", "id,name\n".encode("utf-16"), "is UTF-16: save it as UTF-8"),
        (
            "class.txt",
            "\nid,name\nada,Ada\n",
            ":2: is a table, and the file's name does not say so",
        ),
        ("class", '"id";"name"\n', "give it a name that ends in .csv"),
        ("class.yaml", "Name,ID\nada,Ada\n", "is a table, and the file's name does not say so"),
        ("class.yaml", "sep=;\nid;name\n", "is a table, and the file's name does not say so"),
    ],
)
def test_a_file_of_another_kind_is_refused_for_what_it_is(
    name: str, content: str | bytes, expected: str, tmp_path: Path
) -> None:
    (problem,) = problems_of(tmp_path, content, name)
    assert expected in problem


def test_under_a_wrong_header_nothing_else_is_told(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "name,mail\nAda,ada\n,\n", "class.csv") == [
        ":1: 'mail': there is no such column; known are id, name, email, group,"
        " expires, host, user, port, hostkey",
        ":1: the column id is missing: the header is id,name,email,group",
    ]


@pytest.mark.parametrize("name", ["class.yaml", "class.csv"])
def test_what_is_not_utf_8_is_refused_with_its_line(name: str, tmp_path: Path) -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        content = mark + b"id,name\nZ\xeb,Zoe\n"
        assert problems_of(tmp_path, content, name) == [":2: is not UTF-8: save it as UTF-8"]


@pytest.mark.parametrize("name", ["class.yaml", "class.csv"])
def test_ten_megabytes_are_refused_unread(name: str, tmp_path: Path) -> None:
    assert problems_of(tmp_path, b"a,b\n" * 2_500_000, name) == [
        ": is larger than 1 MiB, which no roster is"
    ]


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.csv: cannot be read: No such file"):
        read_roster(str(tmp_path / "absent.csv"))


def test_all_problems_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    content = """\
course: gitops
learners:
  - id: Ada
    name: Ada
  - id: no
    nick: bob
    email: bob
  - id: zoe
    name: "Zo\\u202Eë"
    group: [a]
    name: Zoë
  - name: Zoë
  - id: zoe
    name: Zoë
"""
    problems = problems_of(tmp_path, content)
    assert [re.split(" is | are |: there", problem)[0] for problem in problems] == [
        ":1: 'course'",
        ":3: id 'Ada'",
        ":5: id 'no'",
        ":5: name",
        ":6: 'nick'",
        ":7: email 'bob'",
        ":9: name 'Zo\\u202eë'",
        ":10: group",
        ":11: name",
        ":12: id",
        ":13: id 'zoe'",
    ]


# What is refused of a value.


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("no", "true or false"),
        ("on", "true or false"),
        ("True", "true or false"),
        ("1e3", "a number"),
        ("0o17", "a number"),
        ("1.0e+3", "a number"),
        ("007", "a number"),
        ("42", "a number"),
        ("0x1f", "a number"),
        ("1:30", "a number"),
        (".nan", "a number"),
        ("null", "nothing"),
        ("~", "nothing"),
        ("2026-01-31", "a date"),
        ("!!binary YWRh", "'binary'"),
        ("!python/name:os.system x", "'!python/name:os.system'"),
        ("=", "'value'"),
    ],
)
@pytest.mark.parametrize("key", ["id", "name"])
def test_what_yaml_does_not_read_as_text_is_refused(
    key: str, value: str, kind: str, tmp_path: Path
) -> None:
    given = {"id": "ada", "name": "Ada", key: value}
    content = f"- id: {given['id']}\n  name: {given['name']}\n"
    (problem,) = problems_of(tmp_path, content)
    shown = repr(value.split()[-1])
    assert problem == (
        f":{1 if key == 'id' else 2}: {key} {shown} is refused: text is needed, and YAML reads this"
        f" as {kind}: put it in quotes"
    )


@pytest.mark.parametrize("value", ["no", "on", "007", "1e3", "null", "2026-01-31"])
def test_in_quotes_and_in_csv_these_are_ids_as_they_stand(value: str, tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, f"[{{id: '{value}', name: '{value}'}}]")
    (same,) = rows_of(tmp_path, f"id,name\n{value},{value}\n", "class.csv")
    assert row == same
    assert row["id"] == row["name"] == value
    assert row["email"] == f"{value}@example.org"


@pytest.mark.parametrize("key", ["email", "group"])
@pytest.mark.parametrize("value", ["null", "", "~", '""'])
def test_what_is_optional_may_be_nothing(key: str, value: str, tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, f"- id: ada\n  name: Ada Lovelace\n  {key}: {value}\n")
    assert row == ADA


@pytest.mark.parametrize("value", ["[a]", "{a: b}"])
@pytest.mark.parametrize("key", ["id", "name", "email", "group"])
def test_a_list_or_a_mapping_is_no_value(key: str, value: str, tmp_path: Path) -> None:
    given = {"id": "ada", "name": "Ada", key: value}
    content = "- " + "\n  ".join(f"{key}: {text}" for key, text in given.items())
    (problem,) = problems_of(tmp_path, content)
    assert f": {key} is refused: text is needed, and this is a" in problem


BAD_IDS = [
    "-ada", "ada-", "a.da", "..", "a/da", "../ada", "a_da", "a da", "Ada", "ada\n", "zoë",
    "zoe\u0308", "ａｄａ", "аda", "李雷", "🦄", "\u202eada", "a\u200bda", "١", "$(touch x)",
    "; rm -rf /", "`id`", "{{ 7 * 7 }}", "#{ seat }#", "${seat}", "a\tb", "'", '"', "--prune",
    " ada", "a\0b", "\ud800",
]  # fmt: skip


@pytest.mark.parametrize("value", BAD_IDS)
def test_an_id_that_gives_no_good_names_is_refused_with_such_a_name(
    value: str, tmp_path: Path
) -> None:
    (problem,) = problems_of(tmp_path, f"[{{id: {yaml_text(value)}, name: Ada}}]")
    assert problem.startswith(f":1: id {value!r} is refused: it becomes part of names such as ")
    assert repr(f"{value}-develop") in problem


@pytest.mark.parametrize("length", [41, 55, 56, 63, 64, 100_000])
def test_an_id_that_leaves_no_room_for_longer_names_is_refused(length: int, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, f"[{{id: {'a' * length}, name: Ada}}]")
    assert f"at most 40 characters are allowed, and it has {length}" in problem
    assert "`lab-<id>-sys`" in problem


def test_the_longest_id_leaves_room_for_all_names() -> None:
    seat = check_seat("a" * 40)
    assert len(seat_system_namespace(seat)) <= 63
    # The common name of a certificate has at most 64 characters.
    assert len(seat_user(seat, new_generation())) <= 64


@pytest.mark.parametrize(
    "value",
    [
        "default", "kube-system", "kube-public", "kube-x", "flux-system", "flux", "instructor",
        "platform", "learner", "lab-ada", "lab-x-sys", "kustomization", "spare-1", "spare-02",
    ],
)  # fmt: skip
def test_a_reserved_id_is_refused(value: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, f"[{{id: {value}, name: Ada}}]")
    assert problem.startswith(f":1: id '{value}' is refused: this name is ")


@pytest.mark.parametrize(
    "value",
    ["a", "0", "a--b", "kube", "lab", "ada-develop", "ada-sys", "fl", "spare", "spare-wheel"],
)
def test_a_label_that_collides_with_nothing_is_an_id(value: str, tmp_path: Path) -> None:
    assert rows_of(tmp_path, as_yaml([learner(id=value)]))[0]["id"] == value


@pytest.mark.parametrize(
    ("one", "two", "same"),
    [
        ("ada", "ada", "'ada' is there in line 2, too"),
        ("ada", "Ada", "'Ada' is 'ada' in line 2, too"),
        ("STRASSE", "straße", "'straße' is 'STRASSE' in line 2, too"),
        ("zo\u00eb", "zoe\u0308", "'zoe\u0308' is 'zo\u00eb' in line 2, too"),
        ("ada", "ａｄａ", "'ａｄａ' is 'ada' in line 2, too"),
        ("ada", "ＡＤＡ", "'ＡＤＡ' is 'ada' in line 2, too"),
        ("fax", "℻", "'℻' is 'fax' in line 2, too"),
        ("ﬁn", "fin", "'fin' is 'ﬁn' in line 2, too"),
    ],
)
def test_ids_that_are_one_to_a_reader_are_named_both(
    one: str, two: str, same: str, tmp_path: Path
) -> None:
    content = f"id,name\n{one},Ada\nbob,Bob\n{two},Ada\n"
    problems = problems_of(tmp_path, content, "class.csv")
    assert f":4: id {same}: every learner needs an id of their own" in problems
    assert sum("of their own" in problem for problem in problems) == 1


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("Zoë", "such as `zoe` for 'Zoë'"),
        ("Zoe\u0308", "such as `zoe` for 'Zoe\u0308'"),
        ("李雷", "write one of a-z, 0-9 and `-`"),
        ("🦄", "write one of a-z, 0-9 and `-`"),
        ("007", "write one of a-z, 0-9 and `-`"),
        ("Ada", "such as `ada-2` for 'Ada'"),
        ("Default", "such as `default-2` for 'Default'"),
        ("Kube System", "write one of a-z, 0-9 and `-`"),
        ("Ada " * 40, f"such as `{'-'.join(['ada'] * 9)[:35]}`"),
    ],
)
def test_a_missing_id_is_not_made_of_the_name_but_proposed(
    name: str, advice: str, tmp_path: Path
) -> None:
    content = as_csv([{"id": "ada", "name": "Ada"}, {"name": name}])
    (problem,) = problems_of(tmp_path, content, "class.csv")
    assert problem.startswith(":3: id is missing: write one")
    assert advice in problem


def test_proposals_differ_from_each_other_and_from_what_is_there(tmp_path: Path) -> None:
    content = "[{name: Zoë}, {name: Zoe}, {id: zoe-2, name: Zoe}, {id: ZOE, name: Zoe}]"
    told = re.findall(r"`(zoe[^`]*)`", " ".join(problems_of(tmp_path, content)))
    assert told == ["zoe", "zoe-3", "zoe-4"]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Zoë Lindström", "zoe-lindstrom"),
        ("Łukasz Bjørn Straße", "lukasz-bjorn-strasse"),
        ("O'Brien", "obrien"),
        ("İpek", "ipek"),
        ("ＡＤＡ ℻", "ada-fax"),
        ("Lei 李雷", "lei"),
        ("Аda", None),  # The first letter is Cyrillic.
        ("$(reboot)", "reboot"),
        ("", None),
    ],
)
def test_a_proposal_is_the_name_in_ascii(name: str, slug: str | None) -> None:
    assert propose_seat(name) == slug


UNSEEN = [
    "\u202e", "\u202a", "\u2066", "\u2069", "\u200e", "\u200f", "\u061c", "\u200b", "\u200c",
    "\u200d", "\u2060", "\ufeff", "\u00ad", "\u3164", "\u115f", "\u034f", "\n", "\r", "\t",
    "\0", "\x1b", "\x7f", "\x85", "\u2028", "\u2029", "\u00a0", "\ud800", "\U000e0041",
    "\ue000",
]  # fmt: skip


@pytest.mark.parametrize("sign", UNSEEN)
@pytest.mark.parametrize("key", ["name", "group"])
def test_what_is_not_seen_is_refused_by_its_number(key: str, sign: str, tmp_path: Path) -> None:
    given = {"id": "ada", "name": "Ada", key: yaml_text(f"Ada{sign}Lovelace")}
    content = "- " + "\n  ".join(f"{key}: {text}" for key, text in given.items())
    (problem,) = problems_of(tmp_path, content)
    assert f": {key} " in problem
    assert f"take out U+{ord(sign):04X}" in problem


@pytest.mark.parametrize("name", [" ", "...", "<>", ";", '"', "\\", " ' "])
def test_a_name_that_git_would_not_take_is_refused(name: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, f"- id: ada\n  name: {yaml_text(name)}")
    assert problem.startswith(f":2: name {name!r} is refused: ")
    assert author_of(name) is None


def author_of(name: str) -> str | None:
    """Return the author that Git makes of a name, or None if Git refuses the name."""
    command = ["git", "-c", f"user.name={name}", "-c", "user.email=a@b", "var", "GIT_AUTHOR_IDENT"]
    clean = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"}
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


LITERAL = [
    "$(touch gone); `touch gone`", "{{ 7 * 7 }}", "#{ seat }#", "${seat}", "a: b", "- a",
    "!!null x", "'; rm -rf / #", "--unset-all x", "=1+1", "Null", "no", "Zoë", "李雷", "🦄",
    "葛\U000e0100", "é", "נועה", "%s", "Robert'); DROP TABLE learners;--", "x" * 200,
]  # fmt: skip


@pytest.mark.parametrize("value", LITERAL)
def test_what_looks_like_code_is_kept_literally(value: str, tmp_path: Path) -> None:
    for content, name in (
        (as_yaml([{"id": "ada", "name": value, "group": value}]), "class.yaml"),
        (as_csv([{"id": "ada", "name": value, "group": value}]), "class.csv"),
    ):
        (row,) = rows_of(tmp_path, content, name)
        assert row["name"] == row["group"] == value
    assert author_of(value) is not None
    shown = subprocess.run(
        ["sh", "-c", f"printf %s {shlex.quote(value)}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == value
    assert not (tmp_path / "gone").exists()


def test_a_name_has_at_most_200_characters(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, as_yaml([learner(name="x" * 201)]))
    assert "at most 200 characters are allowed, and it has 201" in problem


@pytest.mark.parametrize("value", ["ada", "@", "ada@", "a b@c", "$(id)@x", "a@b\n", "ä@b", "a@b c"])
def test_what_is_no_address_is_refused(value: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, f"[{{id: ada, name: Ada, email: {yaml_text(value)}}}]")
    assert problem == (
        f":1: email {value!r} is refused: an address such as ada@example.org is needed"
    )


END = "2026-12-01T18:00+01:00"


@pytest.mark.parametrize("text", [END, "2026-12-01T18:00:00+01:00", "2026-12-01T17:00Z"])
def test_a_time_may_be_in_quotes_or_not(text: str, tmp_path: Path) -> None:
    for entry in (f"expires: {text}", f'expires: "{text}"'):
        (row,) = rows_of(tmp_path, f"[{{id: ada, name: Ada, {entry}}}]")
        assert row["expires"] == text
    (row,) = rows_of(tmp_path, f"id,name,expires\nada,Ada,{text}\n", name="roster.csv")
    assert row["expires"] == text


@pytest.mark.parametrize(
    "text",
    [
        "2026-12-01", "2026-12-01T18:00", "2026-12-01 18:00:00", "2026-12-01 18:00:00+01:00",
        "2026-13-01T18:00Z", "2026-02-30T18:00Z", "2026-12-01T25:00Z", "1999-12-01T18:00Z",
        "2026-12-01T18:00+25:00", "20261201T180000Z", "tomorrow", "7", "18:00",
    ],
)  # fmt: skip
def test_what_is_no_moment_is_refused(text: str, tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, f'[{{id: ada, name: Ada, expires: "{text}"}}]')
    assert problem.startswith(f":1: expires {text!r} is refused: ")
    (problem,) = problems_of(tmp_path, f"[{{id: ada, name: Ada, expires: {text}}}]")
    assert problem.startswith(f":1: expires {text!r} is refused: ")


@pytest.mark.parametrize("key", ["id", "name", "email", "group"])
def test_a_key_twice_and_a_key_unknown_are_refused(key: str, tmp_path: Path) -> None:
    base = "- id: ada\n  name: Ada\n  email: a@b\n  group: x\n"
    assert problems_of(tmp_path, f"{base}  {key}: again\n") == [
        f":5: {key} is there twice: keep one"
    ]
    for unknown in (key.upper(), f"{key}s", "<<", "yes"):
        assert problems_of(tmp_path, f"{base}  {unknown}: x\n") == [
            f":5: '{unknown}': there is no such key; known are id, name, email, group,"
            " expires, host, user, port, hostkey"
        ]


# Whatever is in a file.

# The first run on a machine makes Hypothesis' tables of Unicode, which takes seconds on a slow one.
patient = settings(suppress_health_check=[HealthCheck.too_slow])
near_ids = st.one_of(
    st.text(),
    st.from_regex(r"(lab-|kube-)?[a-z0-9-]{1,42}(-develop|-sys|-lab)?", fullmatch=True),
    st.sampled_from(BAD_IDS[:-1]),
    st.text("abＡAée\u0301-", max_size=4),
)
values = st.one_of(st.text(), st.none(), st.booleans(), st.integers(), st.floats(), st.dates())
fields = st.fixed_dictionaries(
    {}, optional={"id": near_ids | values, "name": values, "email": values, "group": values}
)


def read(content: bytes, name: str) -> list[dict[str, str | None]] | None:
    """Return the rows, or None if the file is refused; anything else fails the test."""
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(content)
        try:
            return read_roster(str(path))
        except InputError as error:
            assert error.problems
            assert all(problem.splitlines() == [problem] for problem in error.problems)
            return None


def assert_a_class(rows: Sequence[Row]) -> None:
    """Fail unless the lab accepts the rows, and no two seats share a name of the same kind."""
    taken: set[tuple[str, str]] = set()
    for row in rows:
        seat = Seat.model_validate(row)
        environment = at_seat(seat)
        namespaces = [environment.namespace, environment.system]
        names = [("namespace", name.casefold()) for name in namespaces]
        names.append(("repository", environment.repository.casefold()))
        names.append(("key", environment.key.casefold()))
        names.append(("user", seat_user(seat.id, "0" * 14).casefold()))
        assert len(taken | {*names}) == len(taken) + len(names)
        taken |= {*names}
        assert all(LABEL.fullmatch(name) for name in (*namespaces, f"tenant-{seat.id}"))
        assert not {*namespaces} & {"default", "flux-system", "develop", "local-path-storage"}
        assert not any(name.startswith("kube-") for name in namespaces)


@given(st.lists(fields, max_size=4))
@patient
def test_whatever_is_dumped_as_yaml_is_read_or_refused(learners: list[dict[str, object]]) -> None:
    rows = read(yaml.safe_dump(learners, allow_unicode=True).encode(), "class.yaml")
    if rows is not None:
        assert len(rows) == len(learners)
        assert_a_class(rows)
        for row, given_values in zip(rows, learners, strict=True):
            assert row["id"] == given_values["id"]
            assert row["name"] == given_values["name"]


@given(st.lists(st.tuples(near_ids, st.text()), max_size=4), st.sampled_from(",;"))
@patient
def test_whatever_is_written_as_csv_is_read_or_refused(
    learners: list[tuple[str, str]], delimiter: str
) -> None:
    content = as_csv([{"id": id_, "name": name} for id_, name in learners], delimiter)
    rows = read(content.encode(), "class.csv")
    if rows is not None:
        assert_a_class(rows)


@given(st.text() | st.text("-:{}[]\"'&*!|>%@\\UFx0 \n\t,idname;learners"), st.booleans())
@example('"\\UFFFFFFFF"', False)
@example("%YAML 1." + "1" * 5000 + "\n---\n[]", False)
@example('"', True)
@settings(patient, max_examples=300)
def test_whatever_is_in_a_file_ends_in_a_class_or_a_refusal(content: str, table: bool) -> None:
    rows = read(content.encode(), "class.csv" if table else "class.yaml")
    if rows is not None:
        assert_a_class(rows)


@given(st.binary(), st.sampled_from(["class.csv", "class.yaml"]))
@patient
def test_whatever_bytes_are_in_a_file_end_in_a_class_or_a_refusal(
    content: bytes, name: str
) -> None:
    rows = read(content, name)
    if rows is not None:
        assert_a_class(rows)


@given(st.lists(near_ids, min_size=2, max_size=6))
@example(["a", "a-develop", "a-sys", "lab-a", "a-sys-develop", "a-develop-sys", "x-lab-a", "a-1"])
@patient
def test_accepted_ids_never_meet_in_a_final_name(ids: list[str]) -> None:
    accepted = []
    for id_ in ids:
        try:
            accepted.append(check_seat(id_))
        except ValueError:
            continue
    assert_a_class([{"id": seat, "name": "x", "email": "a@b"} for seat in dict.fromkeys(accepted)])


@given(st.text())
@example("℻")
@patient
def test_a_proposal_is_ascii_and_the_same_every_time(name: str) -> None:
    slug = propose_seat(name)
    assert slug == propose_seat(name)
    if slug is not None:
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
