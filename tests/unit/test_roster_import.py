"""An export becomes a roster that reads back with the same people, or all its problems are
named."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sopslab.config.column_choice import Columns, Named, UnclearColumns, choose
from sopslab.config.roster import read_roster
from sopslab.config.roster_columns import Meaning, meanings
from sopslab.config.roster_import import MOST_ROWS, Proposal, propose, render
from sopslab.config.roster_values import default_email
from sopslab.config.tables import read_table
from sopslab.errors import Exit, InputError
from sopslab.layout import PROJECT
from tests.work import calls_during

EXPORTS = PROJECT / "tests" / "data" / "rosters"
Row = dict[str, str | None]
Person = tuple[str, str, str | None, str | None]


def imported(path: Path, named: Named, roster: Sequence[Row] = ()) -> Proposal:
    table = read_table(str(path), MOST_ROWS)
    return propose(table, choose(table, named), roster)


def proposal_of(
    folder: Path, text: str, named: Named | None = None, roster: Sequence[Row] = ()
) -> Proposal:
    path = folder / "class.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return imported(path, named or Named(), roster)


def columns_of(folder: Path, text: str, named: Named | None = None) -> Columns:
    path = folder / "class.csv"
    path.write_text(text, encoding="utf-8", newline="")
    return choose(read_table(str(path), MOST_ROWS), named or Named())


def problems_of(
    folder: Path, text: str, named: Named | None = None, roster: Sequence[Row] = ()
) -> list[str]:
    """Return the problems without the path of the file; check that each is one short line."""
    with pytest.raises(InputError) as caught:
        proposal_of(folder, text, named, roster)
    assert caught.value.code is Exit.INPUT
    assert all(one.isprintable() and len(one) < 500 for one in caught.value.problems)
    return [one.removeprefix(str(folder / "class.csv")) for one in caught.value.problems]


def people_of(proposal: Proposal) -> list[Person]:
    return [(one.id, one.name, one.email, one.group) for one in proposal.learners]


def read_back(proposal: Proposal) -> list[Row]:
    """Return what `up` would read from the written roster."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "class.yaml")
        path.write_text(render(proposal.learners), encoding="utf-8")
        return read_roster(str(path))


def rows_of(proposal: Proposal) -> list[Row]:
    """Return the rows of a roster with these learners."""
    return [
        {"id": one.id, "name": one.name, "email": one.email or default_email(one.id),
         "group": one.group, "expires": one.expires}
        for one in proposal.learners
    ]  # fmt: skip


# Exports as they are.

READ: dict[str, list[Person]] = {
    "moodle-english.csv": [
        ("ada-lovelace", "Ada Lovelace", "ada.lovelace@uni.example.org", "Table 1"),
        ("zoe-lindstroem", "Zoë Lindström", "zoe.lindstroem@uni.example.org", "Table 1, Table 2"),
        ("g-hopper", "Grace Brewster Hopper", "g.hopper@uni.example.org", None),
    ],
    "moodle-german.csv": [
        ("joerg-mueller", "Jörg Müller-Lüdenscheidt", "joerg.mueller@uni.example.org", "Übung 3"),
        ("anne", "Änne Groß", "anne@uni.example.org", "Übung 3"),
    ],
    "moodle-french.csv": [
        ("eloise-lefevre", "Éloïse Lefèvre", "eloise.lefevre@univ.example.org", "Équipe A"),
        ("francois", "François D'Aubigné", "francois@univ.example.org", "Équipe B"),
    ],
    "moodle-spanish.csv": [
        ("jnunez", "José Ángel Núñez García", "jnunez@uni.example.org", None),
        ("mpena", "María Peña", "mpena@uni.example.org", None),
    ],
    "moodle-italian.csv": [
        ("niccolo-bianchi", "Niccolò Bianchi", "niccolo.bianchi@uni.example.org", None)
    ],
    "moodle-portuguese.csv": [
        ("joao-conceicao", "João Conceição", "joao.conceicao@uni.example.org", "Turma B")
    ],
    "moodle-dutch.csv": [
        ("d-vandermeer", "Daniël van der Meer", "d.vandermeer@uni.example.org", "groep 2")
    ],
    "canvas.csv": [
        ("alovelace", "Ada Lovelace", None, "GITOPS-1"),
        ("jdelacruz", "Juana Inés de la Cruz", None, "GITOPS-1 and GITOPS-2"),
        ("plato", "Plato", None, "GITOPS-2"),
    ],
    "canvas-logins-are-addresses.csv": [
        ("ada", "Ada Lovelace", "ada@uni.example.org", "GITOPS-1"),
        ("grace-hopper", "Grace Hopper", "grace.hopper@uni.example.org", "GITOPS-1"),
    ],
    "github-classroom.csv": [
        ("ada-l", "Ada Lovelace", "ada@uni.example.org", None),
        ("zoe", "Zoë Lindström", "zoe@uni.example.org", None),
    ],
    "brightspace.csv": [
        ("ada-lovelace", "Ada Lovelace", "ada@uni.example.org", None),
        ("ghopper", "Grace Hopper", "grace@uni.example.org", None),
    ],
    "google-classroom.csv": [
        ("ada", "Ada Lovelace", "ada@school.example.org", None),
        ("lei-li", "李 雷", "lei.li@school.example.org", None),
    ],
    "google-sheets.tsv": [
        ("ada", "Ada Lovelace", "ada@example.org", "red, mostly"),
        ("noor", "Noor de Vries", "noor@example.org", "blue"),
    ],
    "excel-unicode-text.txt": [
        ("zoe", "Zoë Lindström", "zoe@example.org", "Tisch 1"),
        ("lei", "Lei Li", "lei@example.org", None),
    ],
    "big-endian.csv": [
        ("ada", "Ada Lovelace", None, None),
        ("zoe", "Zoë Lindström", None, None),
    ],
    "excel-german.csv": [
        ("juergen", "Jürgen Weiß", "juergen@example.org", "1"),
        ("ada-lovelace", "Ada Lovelace", None, "1"),
    ],
    "old-mac.csv": [
        ("ada", "Ada Lovelace", None, None),
        ("grace-hopper", "Grace Hopper", None, None),
    ],
    "names-only.csv": [
        ("ada-lovelace", "Ada Lovelace", None, None),
        ("kim-lee", "Kim Lee", None, None),
        ("kim-lee-2", "Kim Lee", None, None),
        ("jorgen-odegard", "Jørgen Ødegård", None, None),
    ],
}


def test_every_export_is_looked_at() -> None:
    assert sorted(READ) == sorted(path.name for path in EXPORTS.iterdir())


@pytest.mark.parametrize("name", READ)
def test_an_export_becomes_a_roster_as_it_is(name: str) -> None:
    proposal = imported(EXPORTS / name, Named())
    assert people_of(proposal) == READ[name]
    assert read_back(proposal) == rows_of(proposal)


# Exports of spreadsheets and learning platforms; test_roster.py has such rosters for `up`.
CASES = {
    "columns that pad": "id;name;email;;\nada;Ada Lovelace;ada@example.org;;\n;;;;\n",
    "a line for Excel": "sep=;\nid;name;email\nada;Ada Lovelace;ada@example.org\n",
    "Moodle": "\ufeffFirst name,Last name,ID number,Email address,Groups\n"
    "Ada,Lovelace,4711001,ada@example.org,\n",
    "GitHub Classroom": '"identifier","github_username","github_id","name"\n'
    '"ada@example.org","ada","1815","Ada Lovelace"\n',
    "tabs": "id\tname\temail\nada\tAda Lovelace\tada@example.org\n",
}


@pytest.mark.parametrize("case", CASES)
def test_what_people_have_is_read(case: str, tmp_path: Path) -> None:
    assert people_of(proposal_of(tmp_path, CASES[case])) == [
        ("ada", "Ada Lovelace", "ada@example.org", None)
    ]


def test_rows_of_canvas_that_are_no_learners_are_left_out_and_named() -> None:
    left_out = {row.line: row.reason for row in imported(EXPORTS / "canvas.csv", Named()).left_out}
    assert left_out == {
        2: "it is empty in the columns that are read",
        3: "a row of Canvas with the points of each task",
        7: "the test student of Canvas",
    }


def test_elsewhere_a_test_student_is_a_learner(tmp_path: Path) -> None:
    assert len(proposal_of(tmp_path, "Name,Team\nTest Student,x\n").learners) == 1


def test_a_row_without_a_name_but_with_an_address_is_no_empty_one(tmp_path: Path) -> None:
    text = "Name,Email\nAda,ada@x.org\n,zoe@x.org\n"
    assert problems_of(tmp_path, text) == [
        ":3: name is missing in column 'Name': write it there, or take the line out"
    ]


# Which column is what.


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("Vorname;Name", {Meaning.FIRST: [0], Meaning.LAST: [1]}),
        ("Nome;Cognome", {Meaning.FIRST: [0], Meaning.LAST: [1]}),
        ("Name;Vorname;Full name", {Meaning.LAST: [0], Meaning.FIRST: [1], Meaning.NAME: [2]}),
        ("Name", {Meaning.NAME: [0]}),
        ("First name;Last name;Name", {Meaning.FIRST: [0], Meaning.LAST: [1], Meaning.NAME: [2]}),
        ("PRENOM;nom de famille", {Meaning.FIRST: [0], Meaning.LAST: [1]}),
        ("E_MAIL address:;Grupy*", {Meaning.EMAIL: [0], Meaning.GROUP: [1]}),
        ("Imię;Nazwisko;E-postadress", {
            Meaning.FIRST: [0], Meaning.LAST: [1], Meaning.EMAIL: [2]}),
        ("Nom d’utilisateur", {Meaning.LOGIN: [0]}),
        ("Login;Username", {Meaning.LOGIN: [0, 1]}),
        ("Timestamp;;Points", {}),
    ],
)  # fmt: skip
def test_headers_mean_the_same_in_many_languages(
    header: str, expected: dict[Meaning, list[int]]
) -> None:
    assert meanings(header.split(";")) == expected


UNCLEAR = {
    "two logins": (
        "Login,Username,Name\na,b,C\n",
        ":1: 'Login', 'Username' may each be the id: say which with --id-from, or `--id-from -` for"
        " none",
    ),
    "two names": (
        "Full name,Display name\nA,B\n",
        ":1: 'Full name', 'Display name' may each be the name: say which with --name-from",
    ),
    "no name": (
        "Timestamp,Who are you?,\n1,Ada,\n",
        ":1: no header means the name: say which does with --name-from, of 'Timestamp', 'Who are"
        " you?'",
    ),
    "two addresses": (
        "Name,Email,E-Mail\nA,a@x.org,b@x.org\n",
        ":1: 'Email', 'E-Mail' may each be the email: say which with --email-from, or"
        " `--email-from -` for none",
    ),
    "two groups": (
        "Name,Team,Section\nA,x,y\n",
        ":1: 'Team', 'Section' may each be the group: say which with --group-from, or"
        " `--group-from -` for none",
    ),
    "GitHub Classroom without names": (
        "identifier,github_username,github_id,name\nAda L,ada,1815,\n",
        ":1: no header means the name: say which does with --name-from, of 'identifier',"
        " 'github_username', 'github_id'",
    ),
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_where_two_columns_may_be_meant_the_options_are_named(case: str, tmp_path: Path) -> None:
    text, expected = UNCLEAR[case]
    assert problems_of(tmp_path, text) == [expected]


def test_all_that_is_unclear_is_asked_at_once(tmp_path: Path) -> None:
    with pytest.raises(UnclearColumns) as caught:
        columns_of(tmp_path, "Login,Username,Team,Section\na,b,c,d\n")
    asked = [(question.key, question.candidates) for question in caught.value.questions]
    assert asked == [("id", (0, 1)), ("name", (0, 1, 2, 3)), ("group", (2, 3))]


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (Named(id="Login"), Columns(0, (2,), None, 3)),
        (Named(id="username"), Columns(1, (2,), None, 3)),
        (Named(id="2"), Columns(1, (2,), None, 3)),
        (Named(id="-"), Columns(None, (2,), None, 3)),
        (Named(id="2", group="-"), Columns(1, (2,), None, None)),
        (Named(id="2", group="Login"), Columns(1, (2,), None, 0)),
        (Named(id="2", names=("Login", "Name")), Columns(1, (0, 2), None, 3)),
        (Named(id="2", names=("Login,Name",)), Columns(1, (0, 2), None, 3)),
        (Named(id="2", names=("last, first",)), Columns(1, (4,), None, 3)),
        (Named(id="2", names=("1,3",)), Columns(1, (0, 2), None, 3)),
        (Named(id="2", email="3"), Columns(1, (2,), 2, 3)),
    ],
)
def test_a_column_is_named_by_its_header_or_its_number(
    named: Named, expected: Columns, tmp_path: Path
) -> None:
    text = 'Login,Username,Name,Team,"Last, first"\na,b,c,d,e\n'
    assert columns_of(tmp_path, text, named) == expected


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (Named(id="x"), "--id-from: there is no column 'x': there are 'Name', 'Name', 'Team'"),
        (Named(group="9"), "--group-from: there is no column '9'"),
        (Named(group="0"), "--group-from: there is no column '0'"),
        (Named(names=("Name",)), "--name-from: 'Name' is there twice: name it by its number"),
        (Named(names=("Team,x",)), "--name-from: there is no column 'x'"),
    ],
)
def test_a_named_column_that_is_not_there_is_refused(
    named: Named, expected: str, tmp_path: Path
) -> None:
    (problem,) = problems_of(tmp_path, "Name,Name,Team\na,b,c\n", named)
    assert problem.startswith(expected)


def test_of_all_named_columns_that_are_not_there_all_are_told(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "Name\na\n", Named(id="x", email="y", group="z"))
    assert [problem.split(":")[0] for problem in problems] == [
        "--id-from", "--email-from", "--group-from",
    ]  # fmt: skip


def test_a_table_without_headers_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, "Ada Lovelace,ada@example.org\n")
    assert problem.startswith(":1: 'ada@example.org' is no header: put a line")


def test_a_column_that_nobody_has_filled_in_is_not_there(tmp_path: Path) -> None:
    assert columns_of(tmp_path, "Login,Username,Name\n,b,C\n").id == 1


def test_numbers_under_id_are_no_logins_unless_that_is_said(tmp_path: Path) -> None:
    text = "ID,Name\n4711,Ada Lovelace\n4712,Zoë\n"
    proposal = proposal_of(tmp_path, text)
    assert [one.id for one in proposal.learners] == ["ada-lovelace", "zoe"]
    assert "column 'ID' holds nothing but numbers and is not read" in proposal.notes[0]
    proposal = proposal_of(tmp_path, text, Named(id="ID"))
    assert [one.id for one in proposal.learners] == ["4711", "4712"]


# Which id somebody gets.


@pytest.mark.parametrize(
    ("login", "email", "name", "seat", "made_of"),
    [
        ("ada", "x@y.org", "Ada Lovelace", "ada", "login"),
        ("ADA", "x@y.org", "Ada Lovelace", "ada", "login"),
        ("A.Lovelace", "x@y.org", "Ada Lovelace", "a-lovelace", "login"),
        ("4711", "x@y.org", "Ada Lovelace", "4711", "login"),
        ("ada@uni.example", "x@y.org", "Ada Lovelace", "ada", "login"),
        ("instructor", "x@y.org", "Ada Lovelace", "instructor-2", "login"),
        ("lab-ada", "x@y.org", "Ada Lovelace", "x", "address"),
        ("李雷", "lei+lab@y.org", "Ada Lovelace", "lei", "address"),
        ("", "4711@y.org", "Ada Lovelace", "4711", "address"),
        ("", "flux-system@y.org", "Ada Lovelace", "flux-system-2", "address"),
        ("", "", "Ödön von Horváth", "odon-von-horvath", "name"),
        ("a" * 60, "", "Ada", "a" * 35, "login"),
    ],
)
def test_an_id_is_made_of_the_login_else_of_the_address_else_of_the_name(
    login: str, email: str, name: str, seat: str, made_of: str, tmp_path: Path
) -> None:
    text = f"login,email,name\n{login},{email},{name}\nzz,zz@y.org,Z\n"
    first = proposal_of(tmp_path, text).learners[0]
    assert (first.id, first.made_of) == (seat, made_of)


def test_a_login_goes_before_what_is_made_of_a_name_above_it(tmp_path: Path) -> None:
    proposal = proposal_of(tmp_path, "name,login\nAda,\nZoë,ada\nKim,Ada@x\n")
    assert [one.id for one in proposal.learners] == ["ada-2", "ada", "ada-3"]


def test_who_has_nothing_in_latin_letters_is_named_with_the_option(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "name\nAda\n李雷\nנועה\n")
    assert [problem.split(":")[1] for problem in problems] == ["3", "4"]
    assert "no id can be made of '李雷': add a column of ids" in problems[0]
    assert "--id-from" in problems[0]


def test_namesakes_are_pointed_out(tmp_path: Path) -> None:
    proposal = imported(EXPORTS / "names-only.csv", Named())
    assert proposal.notes == (
        "'Kim Lee' is there 2 times, as kim-lee, kim-lee-2: are they different?",
    )


def test_names_are_turned_round_only_where_all_are_of_that_form(tmp_path: Path) -> None:
    proposal = proposal_of(tmp_path, 'name\n"Lovelace, Ada"\nPlato\n')
    assert [one.name for one in proposal.learners] == ["Ada Lovelace", "Plato"]
    assert proposal.notes == ("names are turned round, such as 'Lovelace, Ada' to 'Ada Lovelace'",)
    for other in ("Grace Hopper", "King, Martin, Jr.", "Hopper,"):
        proposal = proposal_of(tmp_path, f'name\n"Lovelace, Ada"\n"{other}"\n')
        assert [one.name for one in proposal.learners] == ["Lovelace, Ada", other]
        assert proposal.notes == ()


def test_blanks_and_accents_are_made_even(tmp_path: Path) -> None:
    proposal = proposal_of(tmp_path, 'name,team\n"Zoe\u0308\u00a0 \nLindström ",\u3000a\tb\n')
    assert people_of(proposal) == [("zoe-lindstrom", "Zoë Lindström", None, "a b")]


# What is refused.

REFUSED = {
    "formula": ("name\n=1+1\n", ":2: column 'name': '=1+1' begins as a formula does"),
    "formula of another sign": ("name\n@SUM(A1)\n", ":2: column 'name': '@SUM(A1)' begins as a"),
    "formula in a login": ("login,name\n=1,A\n", ":2: column 'login': '=1' begins as a formula"),
    "formula in half a name": ("Vorname,Nachname\nA,+B\n", ":2: column 'Nachname': '+B' begins"),
    "error": ("name,team\nA,#N/A\n", ":2: column 'team': '#N/A' is an error of a formula"),
    "direction": ("name\nA\u202eB\n", ":2: column 'name': 'A\\u202eB' is refused: take out U+202E"),
    "unseen": ("name\nAda\u200b\n", ":2: column 'name': 'Ada\\u200b' is refused: take out U+200B"),
    "control": ("name\nA\x1b[2J\n", ":2: column 'name': 'A\\x1b[2J' is refused: take out U+001B"),
    "long": (f"name\n{'a' * 201}\n", ":2: column 'name': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
    "punctuation": ("name\n...\n", ":2: column 'name': '...' is refused: a name is needed"),
    "address": ("name,mail\nA,b\n", ":2: column 'mail': 'b' is refused: an address such as"),
    "address twice": (
        "name,mail\nA,a@x.org\nB,A@x.org\n",
        ":3: column 'mail': 'A@x.org' is in line 2, too: each learner has one line",
    ),
    "login twice": ("login,name\nada,A\nAda,B\n", ":3: column 'login': 'Ada' is in line 2, too"),
    "too many values": ("name,mail\nA,a@x.org,b\n", ":2: has 3 values, and the header has 2"),
    "nobody": ("name,mail\n", ": holds nobody: there is no row below the header"),
    "nobody but the test student": (
        'Student,SIS Login ID\n"Student, Test",x\n',
        ": holds nobody: below the header, no row is a learner's",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_stand_in_a_roster_is_refused_with_its_place(case: str, tmp_path: Path) -> None:
    text, expected = REFUSED[case]
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith(expected)


def test_all_problems_are_told_at_once_in_the_order_of_the_lines(tmp_path: Path) -> None:
    text = "name,mail\n=1,a\nAda,a@x.org\n,b@x.org\n李雷,\nKim,a@x.org\n"
    assert [problem.split(":")[1] for problem in problems_of(tmp_path, text)] == [
        "2", "2", "4", "5", "6",
    ]  # fmt: skip


@pytest.mark.parametrize("rows", [1001, 100_000])
def test_more_than_a_thousand_learners_are_refused(rows: int, tmp_path: Path) -> None:
    assert problems_of(tmp_path, "name\n" + "=1\n" * rows)[0] == (
        ": holds more than 1000 learners: make several classes"
    )


def test_rows_that_are_nobodys_take_no_place(tmp_path: Path) -> None:
    text = "name,x\n" + ",y\n" * 50 + "Kim,\n" * 1000
    assert len(proposal_of(tmp_path, text).learners) == 1000


def test_the_work_for_a_thousand_is_ten_times_that_for_a_hundred(tmp_path: Path) -> None:
    def work(count: int) -> int:
        text = "name,mail\n" + "".join(f"Kim,kim{n}@x.org\n" for n in range(count))
        return calls_during(lambda: proposal_of(tmp_path, text))

    assert work(1000) < 11 * work(100)


def test_a_roster_that_would_be_too_large_is_not_written(tmp_path: Path) -> None:
    text = "name,team\n" + f"{'🦄' * 200} A,{'🦄' * 200}\n" * 1000
    with pytest.raises(InputError, match="at most 200"):
        proposal_of(tmp_path, text)
    text = "name,team\n" + f"{'🦄' * 190} A,{'🦄' * 200}\n" * 1000
    with pytest.raises(InputError, match="larger than 1 MiB: make several classes"):
        render(proposal_of(tmp_path, text).learners)


# Who is on a roster already.

ROSTER: list[Row] = [
    {"id": "kim", "name": "Kim Lee", "email": "kim.lee@x.org", "group": "a", "expires": None},
    {"id": "zoe", "name": "Zoë", "email": "zoe@example.org", "group": None, "expires": None},
    {"id": "sam", "name": "Sam", "email": "sam@x.org", "group": None, "expires": None},
]


def test_who_is_on_the_roster_keeps_the_entry_and_others_follow(tmp_path: Path) -> None:
    text = "name,mail,team\nNoor,noor@x.org,b\nKim L.,KIM.LEE@x.org,b\nSam,sam@x.org,c\n"
    proposal = proposal_of(tmp_path, text, roster=ROSTER)
    assert people_of(proposal) == [
        ("kim", "Kim Lee", "kim.lee@x.org", "a"),
        ("zoe", "Zoë", None, None),
        ("sam", "Sam", "sam@x.org", None),
        ("noor", "Noor", "noor@x.org", "b"),
    ]
    assert [one.line for one in proposal.learners] == [3, None, 4, 2]
    assert [one.made_of for one in proposal.learners] == ["roster"] * 3 + ["address"]
    assert proposal.notes == ("on the roster and not in the export, these stay: zoe",)
    assert read_back(proposal)[:3] == ROSTER


def test_who_is_on_the_roster_keeps_the_time(tmp_path: Path) -> None:
    roster = [ROSTER[0] | {"expires": "2026-12-01T18:00+01:00"}]
    proposal = proposal_of(tmp_path, "name,mail\nNoor,noor@x.org\n", roster=roster)
    kim, noor = read_back(proposal)
    assert (kim, noor["expires"]) == (roster[0], None)


def test_the_same_export_adds_nobody_twice() -> None:
    for name in READ:
        roster = read_back(imported(EXPORTS / name, Named()))
        if name != "names-only.csv":
            again = imported(EXPORTS / name, Named(), roster)
            assert read_back(again) == roster
            assert all(one.line and one.made_of == "roster" for one in again.learners)


@pytest.mark.parametrize(
    ("row", "seat"),
    [
        # If the export has no address, a unique login or name says who it is.
        ("Kim Lee,,", "kim"),
        ("Other,,kim", "kim"),
        # The same if the roster has no address.
        ("Zoë,zoe@y.org,", "zoe"),
        # If both have an address, and they differ, it is another person.
        ("Kim Lee,other@y.org,", "other"),
        ("Kim Lee,kim@y.org,kim", "kim-2"),
    ],
)
def test_without_an_address_a_login_or_a_name_says_who_it_is(
    row: str, seat: str, tmp_path: Path
) -> None:
    text = f"name,mail,login\n{row}\nPat,pat@y.org,pat\n"
    found = [one for one in proposal_of(tmp_path, text, roster=ROSTER).learners if one.line == 2]
    assert [one.id for one in found] == [seat]


def test_two_rows_that_are_one_on_the_roster_are_refused(tmp_path: Path) -> None:
    problems = problems_of(tmp_path, "name\nKim Lee\nKim Lee\n", roster=ROSTER)
    assert problems == [":3: is kim on the roster, as line 2 is: give each an address of their own"]


def test_a_name_that_several_have_on_the_roster_says_nothing(tmp_path: Path) -> None:
    roster = read_back(imported(EXPORTS / "names-only.csv", Named()))
    assert problems_of(tmp_path, "name\nAda Lovelace\nKim Lee\n", roster=roster) == [
        ":3: may be kim-lee or kim-lee-2 on the roster: an address would say who it is"
    ]


def test_a_namesake_of_somebody_on_the_roster_is_pointed_out(tmp_path: Path) -> None:
    proposal = proposal_of(tmp_path, "name,mail\nKim Lee,k@y.org\n", roster=ROSTER[:1])
    assert "'Kim Lee' is there 2 times, as kim, k: are they different?" in proposal.notes


def test_roster_and_export_together_have_a_thousand_at_most(tmp_path: Path) -> None:
    text = "name\n" + "".join(f"Kim {n}\n" for n in range(999))
    assert problems_of(tmp_path, text, roster=ROSTER) == [
        ": holds more than 1000 learners: make several classes"
    ]


# Whatever is in a table.

cells = st.one_of(
    st.text(max_size=12),
    st.text("abAé =@-,'\"\u200b\u00a0#", max_size=8),
    st.sampled_from(
        ["ada", "Ada Lovelace", "Lovelace, Ada", "no", "007", "1e3", "0o17", "null", "李雷",
         "kube-x", "a@x.org", "A@x.org", "a+b@x.org", "ada@example.org", "- a", "a: b", "{a}", "#x"]
    ),
)  # fmt: skip
headers = st.lists(
    st.sampled_from(
        ["Name", "Vorname", "Nachname", "Student", "Login", "ID", "E-Mail", "Team", "identifier",
         "", "x"]
    ),
    min_size=1,
    max_size=5,
)  # fmt: skip
tables = headers.flatmap(
    lambda header: st.tuples(
        st.just(header), st.lists(st.lists(cells, max_size=len(header)), max_size=6)
    )
)


@given(
    tables,
    st.sampled_from(",;\t|"),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    st.booleans(),
)
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=400, print_blob=True)
def test_whatever_table_comes_in_it_is_refused_or_reads_back_with_the_same_people(
    table: tuple[list[str], list[list[str]]], separator: str, encoding: str, late: bool
) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, delimiter=separator).writerows([table[0], *table[1]])
    with TemporaryDirectory() as folder:
        path = Path(folder, "class.csv")
        path.write_bytes(text.getvalue().encode(encoding, "replace"))
        try:
            proposal = imported(path, Named(), ROSTER if late else ())
        except InputError as error:
            assert error.problems
            assert all(one.startswith(f"{path}:") and one.isprintable() for one in error.problems)
            return
    assert len(proposal.learners) + len(proposal.left_out) >= len(
        [row for row in table[1] if any(cell.strip(" ") for cell in row)]
    )
    assert read_back(proposal) == rows_of(proposal)
    if late:
        assert read_back(proposal)[: len(ROSTER)] == ROSTER
