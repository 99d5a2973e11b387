"""`sopslab roster`: what it shows, asks and writes, and what it leaves unchanged."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.cli.verbs import roster as verb
from sopslab.config.roster import read_roster
from sopslab.errors import Exit
from sopslab.layout import PROJECT

EXPORTS = PROJECT / "tests" / "data" / "rosters"
EXAMPLE = PROJECT / "inventories" / "rosters" / "example.yaml"

Roster = Callable[..., Result]


@pytest.fixture
def roster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Roster:
    """Return a function that runs the command in a folder of this test, where nobody can be
    asked."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SOPSLAB_ROOT", str(tmp_path / "root"))

    def run(*arguments: str | Path, stdin: str = "") -> Result:
        return CliRunner().invoke(main, ["roster", *map(str, arguments)], input=stdin)

    return run


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody can be asked."""
    monkeypatch.setattr(verb, "on_terminal", lambda: True)


def names(path: Path) -> list[str | None]:
    return [row["name"] for row in read_roster(str(path))]


def test_what_is_written_is_shown_before(roster: Roster, tmp_path: Path) -> None:
    done = roster("import", EXPORTS / "canvas.csv", "--yes")
    assert done.exit_code == 0
    shown = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert f"{EXPORTS / 'canvas.csv'}: UTF-8; columns by commas" in shown
    assert "id from column 'SIS Login ID', else the name" in shown
    assert "name from column 'Student'" in shown
    assert "email none" in shown
    assert "group from column 'Section'" in shown
    assert "4 alovelace login Ada Lovelace GITOPS-1" in shown
    assert "line 7 is left out: the test student of Canvas" in shown
    assert "names are turned round, such as 'Lovelace, Ada' to 'Ada Lovelace'" in shown
    assert shown[-1].startswith("class.yaml has 3 learners; make the class with `sopslab up")
    written = tmp_path / "class.yaml"
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert names(written) == ["Ada Lovelace", "Juana Inés de la Cruz", "Plato"]
    assert [path.name for path in tmp_path.iterdir()] == ["class.yaml"]


def test_of_windows_1252_it_is_said_to_look_at_the_letters(roster: Roster) -> None:
    done = roster("import", EXPORTS / "moodle-german.csv", "--yes")
    assert "Windows-1252, as it is not UTF-8: see that the letters are right" in done.stdout


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("n\n", False), ("", False)])
def test_before_it_is_written_it_is_asked_for(
    answer: str, written: bool, roster: Roster, tmp_path: Path
) -> None:
    done = roster("import", EXPORTS / "names-only.csv", stdin=answer)
    assert "class.yaml will have 4 learners." in done.stdout
    assert "kim-lee-2" in done.stdout.split("Write it?")[0]
    assert (done.exit_code == 0) is written
    assert (tmp_path / "class.yaml").exists() is written


def test_where_nobody_can_be_asked_it_is_shown_and_not_written(
    roster: Roster, tmp_path: Path
) -> None:
    done = roster("import", EXPORTS / "names-only.csv", stdin="y\n")
    assert done.exit_code == Exit.INPUT
    assert "kim-lee-2" in done.stdout
    assert done.stderr == (
        "class.yaml is not written: --yes writes what is shown, and nobody can be asked here\n"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def unclear(tmp_path: Path) -> Path:
    path = tmp_path / "unclear.csv"
    path.write_text("Login,Username,Who,\x1b[2Jx\nada,al,Ada,1\nzoe,zl,Zoë,2\n")
    return path


@pytest.mark.usefixtures("terminal")
@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("2\n3\ny\n", ["al", "zl"]),
        ("Login\nWho\ny\n", ["ada", "zoe"]),
        ("-\n2,3\ny\n", ["al-ada", "zl-zoe"]),
    ],
)
def test_what_is_unclear_is_asked(
    answers: str, expected: list[str], roster: Roster, unclear: Path, tmp_path: Path
) -> None:
    done = roster("import", unclear, stdin=answers)
    assert done.exit_code == 0, done.output
    assert (
        "   1  Login\n   2  Username\nWhich column is the id? Its number; - for none" in done.stdout
    )
    assert "\x1b" not in done.output
    rows = read_roster(str(tmp_path / "class.yaml"))
    assert [row["id"] for row in rows] == expected


@pytest.mark.usefixtures("terminal")
def test_an_answer_that_is_no_column_ends_it(roster: Roster, unclear: Path) -> None:
    done = roster("import", unclear, stdin="9\n3\n")
    assert done.exit_code == Exit.INPUT
    assert "--id-from: there is no column '9'" in done.stderr


@pytest.mark.parametrize("asked", [True, False])
def test_without_a_terminal_or_with_yes_the_options_are_named(
    asked: bool, roster: Roster, unclear: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verb, "on_terminal", lambda: asked)
    done = roster("import", unclear, *(["--yes"] if asked else []), stdin="1\n1\ny\n")
    assert done.exit_code == Exit.INPUT
    assert "--id-from" in done.stderr
    assert "--name-from" in done.stderr
    assert done.stdout == ""


def test_the_options_say_what_is_unclear(roster: Roster, unclear: Path, tmp_path: Path) -> None:
    options = ["--id-from", "Login", "--name-from", "Who", "--group-from", "4"]
    assert roster("import", unclear, *options, "--yes").exit_code == 0
    rows = read_roster(str(tmp_path / "class.yaml"))
    assert [(row["id"], row["name"], row["group"]) for row in rows] == [
        ("ada", "Ada", "1"), ("zoe", "Zoë", "2"),
    ]  # fmt: skip


def test_a_file_that_is_there_is_replaced_only_by_force(roster: Roster, tmp_path: Path) -> None:
    before = tmp_path / "class.yaml"
    before.write_text("mine")
    done = roster("import", EXPORTS / "names-only.csv", "--yes")
    assert done.exit_code == Exit.INPUT
    assert done.stderr.startswith("class.yaml: is there already: --into adds to it, --force replac")
    assert before.read_text() == "mine"
    other = tmp_path / "other.yml"
    assert roster("import", EXPORTS / "names-only.csv", "--yes", "--output", other).exit_code == 0
    assert len(names(other)) == 4
    assert roster("import", EXPORTS / "names-only.csv", "--yes", "--force").exit_code == 0
    assert names(before) == names(other)


def test_who_comes_late_is_added_to_the_roster(roster: Roster, tmp_path: Path) -> None:
    path = tmp_path / "roster.yaml"
    path.write_text("learners: [{id: first, name: Zoë, email: zoe@example.org}]")
    done = roster("import", EXPORTS / "google-sheets.tsv", "--into", path, "--yes")
    assert done.exit_code == 0
    assert "on the roster and not in the export, these stay: first" in done.stdout
    assert [row["id"] for row in read_roster(str(path))] == ["first", "ada", "noor"]
    again = path.read_text()
    assert roster("import", EXPORTS / "google-sheets.tsv", "--into", path, "--yes").exit_code == 0
    assert path.read_text() == again
    other = tmp_path / "other.yaml"
    arguments = ["import", EXPORTS / "names-only.csv", "--into", path, "--output", other, "--yes"]
    assert roster(*arguments).exit_code == 0
    assert path.read_text() == again
    assert len(names(other)) == 6


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--output", "class.csv"], "class.csv: the roster is YAML: name a file ending in .yaml"),
        (["--into", "class.csv"], "class.csv: the roster is YAML"),
        (["--into", "absent.yaml"], "absent.yaml: cannot be read: No such file"),
        (["--output", "absent/class.yaml"], "absent/class.yaml: cannot be written: No such file"),
    ],
)
def test_where_no_roster_can_be_written_it_is_said(
    options: list[str], expected: str, roster: Roster, tmp_path: Path
) -> None:
    done = roster("import", EXPORTS / "names-only.csv", "--yes", *options)
    assert done.exit_code == Exit.INPUT
    assert done.stderr.startswith(expected)
    assert list(tmp_path.iterdir()) == []


def test_of_what_is_refused_all_is_told_and_nothing_written(roster: Roster, tmp_path: Path) -> None:
    path = tmp_path / "class.csv"
    path.write_text("name,mail\n=1+1,a\nAda,b\n")
    done = roster("import", path, "--yes")
    assert done.exit_code == Exit.INPUT
    assert [line.split(":")[1] for line in done.stderr.splitlines()] == ["2", "2", "3"]
    assert not (tmp_path / "class.yaml").exists()


def test_a_roster_is_checked_and_counted(roster: Roster) -> None:
    done = roster("check", EXAMPLE)
    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        f"{EXAMPLE}: 3 learners, 1 group", "     2  table 1", "     1  without a group",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[{id: Ada, name: Ada}, {id: no, name: ''}]", ["class.yaml:1: id 'Ada'", "class.yaml:1:"]),
        # The id of the lab's own learner is in the settings, and the roster is checked against it.
        ("[{id: nobody, name: N}]", ["the seat nobody has the id of the lab's own learner"]),
    ],
)
def test_what_up_would_refuse_is_refused(
    content: str,
    expected: list[str],
    roster: Roster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lab = tmp_path / "lab.yaml"
    lab.write_text("learner: {id: nobody, name: Nobody, email: nobody@example.org}\n")
    monkeypatch.setenv("SOPSLAB_FILE", str(lab))
    (tmp_path / "class.yaml").write_text(content)
    done = roster("check", "class.yaml")
    assert done.exit_code == Exit.INPUT
    assert all(part in done.stderr for part in expected)
    assert done.stdout == ""


def test_the_template_is_a_roster_with_comments(roster: Roster, tmp_path: Path) -> None:
    done = roster("template")
    assert "# `id` names everything that a learner has" in done.stdout
    path = tmp_path / "class.yaml"
    path.write_text(done.stdout)
    assert read_roster(str(path)) == read_roster(str(EXAMPLE))


def test_the_template_in_csv_is_the_same_roster(roster: Roster, tmp_path: Path) -> None:
    done = roster("template", "--csv")
    path = tmp_path / "class.csv"
    path.write_text(done.stdout)
    assert read_roster(str(path)) == read_roster(str(EXAMPLE))
    header = next(csv.reader(io.StringIO(done.stdout)))
    assert header == ["id", "name", "email", "group", "expires"]
