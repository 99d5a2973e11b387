"""The report on a class: what is counted, and what `sopslab class report` writes."""

from __future__ import annotations

import csv
import io
import stat
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from typing_extensions import override

from sopslab.checks.board.judge import judge
from sopslab.checks.board.lesson import Lesson, looked_back
from sopslab.checks.board.steps import STEPS
from sopslab.cli.main import main
from sopslab.config.environment import at_seat
from sopslab.course.chapter import ANSWERS_FILE
from sopslab.course.quiz import QUIZ_FILE, load_quiz
from sopslab.lab.act import progress
from sopslab.lab.observe.work import look_at_work
from sopslab.model.progress import HELP, Change
from sopslab.web.report import page
from tests.unit.board.board_material import ADA, DONE, fresh
from tests.unit.board.class_material import Class

ZOE = ADA.model_copy(update={"id": "zoe", "name": "Zoë"})
FRESH, FINISHED = judge(ADA, fresh()), judge(ADA, DONE)
QUESTIONS = load_quiz(QUIZ_FILE)


def back(*changes: Change, now: float = 1000.0) -> Lesson:
    """Return a look back at Ada, who has just begun, and Zoë, who is done."""
    rows = [FRESH, replace(FINISHED, seat=ZOE)]
    return looked_back(rows, changes, {}, {}, now)


def test_a_step_takes_from_the_one_before_it_to_when_it_was_done_first() -> None:
    lesson = back(
        Change(100.0, "ada", "access", "yes"),
        Change(100.0, "ada", "pushed", "no"),
        Change(160.0, "ada", "pushed", "yes"),
        Change(170.0, "ada", "encrypted", "yes"),
        Change(200.0, "ada", "pushed", "no"),
        Change(300.0, "ada", "pushed", "yes"),
    )
    taken = {one.step: one for one in lesson.learners[0].taken}

    assert (taken["pushed"].done, taken["pushed"].took) == (160.0, 60.0)
    assert (taken["encrypted"].done, taken["encrypted"].took) == (170.0, 10.0)
    assert (taken["wired"].done, taken["wired"].took) == (None, None)


def test_a_step_that_was_done_before_the_one_before_it_took_no_time() -> None:
    lesson = back(
        Change(10.0, "ada", "access", "yes"),
        Change(50.0, "ada", "wired", "yes"),
        Change(90.0, "ada", "encrypted", "yes"),
    )
    taken = {one.step: one.took for one in lesson.learners[0].taken}

    assert (taken["encrypted"], taken["wired"]) == (80.0, 0.0)


def test_who_is_stuck_is_stuck_until_that_changes_or_until_now() -> None:
    lesson = back(
        Change(100.0, "ada", "applied", "no", stuck=True),
        Change(130.0, "ada", "applied", "no"),
        Change(900.0, "ada", "applied", "no", stuck=True),
        Change(200.0, "zoe", "applied", "no", stuck=True),
        Change(220.0, "zoe", "applied", "yes"),
        now=1000.0,
    )
    stuck = {one.row.seat.id: one.taken[STEPS.index("applied")].stuck for one in lesson.learners}

    assert stuck == {"ada": 130.0, "zoe": 20.0}
    assert next(one for one in lesson.steps if one.step == "applied").stuck == 2


def test_the_median_of_a_step_is_that_of_those_who_were_seen_to_do_it() -> None:
    lesson = back(
        Change(0.0, "ada", "access", "no"),
        Change(10.0, "ada", "access", "yes"),
        Change(30.0, "zoe", "access", "yes"),
        Change(99.0, "gone", "access", "yes"),
    )

    assert lesson.steps[0].took == 20.0
    assert lesson.ended == 30.0, "who has no seat any more does not count"


def test_every_call_for_help_counts_once() -> None:
    lesson = back(
        Change(1.0, "ada", HELP, "yes"),
        Change(2.0, "ada", HELP, "no"),
        Change(3.0, "ada", HELP, "yes"),
    )

    assert [one.asked for one in lesson.learners] == [2, 0]


def test_a_call_for_help_from_before_the_board_is_not_the_end_of_the_lesson() -> None:
    lesson = back(Change(100.0, "ada", "access", "yes"), Change(40.0, "ada", HELP, "yes"))

    assert (lesson.begun, lesson.ended) == (100.0, 100.0)


def test_without_a_record_there_are_no_times() -> None:
    lesson = back()

    assert (lesson.begun, lesson.ended) == (None, None)
    assert {one.took for learner in lesson.learners for one in learner.taken} == {None}
    assert [one.done for one in lesson.steps if one.step == "secret"] == [1]


# --- what is on the Git server -------------------------------------------------------------------


def test_the_labs_own_commit_is_no_work_of_a_learner(classroom: Callable[..., Class]) -> None:
    made = classroom(["ada"])
    head = made.push("ada", {"notes.txt": "x"})
    work = look_at_work(made.settings, at_seat(made.seats[0]))

    assert [one.id for one in work.commits][-1] == head
    assert len(work.commits) == 2, "the one that the class began with does not count"
    assert work.answers is None


def test_answers_are_read_where_they_were_pushed(classroom: Callable[..., Class]) -> None:
    made = classroom(["ada", "bo", "cy"])
    made.push("ada", {ANSWERS_FILE: "1: B\n"})
    made.push("bo", {ANSWERS_FILE: "1: B\n" * 10_000})
    link = (
        "commit refs/heads/main\ncommitter a <a@lab> 1 +0000\ndata 1\nc\nfrom refs/heads/main^0\n"
    )
    made.run("cy", f"{link}M 120000 inline {ANSWERS_FILE}\ndata 10\n.sops.yaml\n")
    found = [look_at_work(made.settings, at_seat(seat)).answers for seat in made.seats]

    assert found == ["1: B\n", None, None]


@pytest.mark.parametrize("at", [253402300800, 2**63 - 1])
def test_a_commit_of_a_year_that_no_calendar_has_keeps_nobody_from_a_report(
    up: Callable[..., Class], tmp_path: Path, at: int
) -> None:
    made = up("ada")
    late = f"commit refs/heads/main\ncommitter a <a@lab> {at} +0000\ndata 1\nc\n"
    made.run("ada", f"{late}from refs/heads/main^0\nM 100644 inline x\ndata 1\nx\n")
    ended = run("--output", str(tmp_path / "out"))

    assert ended.exit_code == 0, ended.output
    assert "9999-12-31 23:59 UTC" in (tmp_path / "out/class.html").read_text()
    (ada,) = csv.DictReader(io.StringIO((tmp_path / "out/class.csv").read_text()))
    assert ada["last_commit"] == "9999-12-31T23:59:59+00:00"


# --- the command ---------------------------------------------------------------------------------


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["class", "report", *arguments])


class Page(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    @override
    def handle_data(self, data: str) -> None:
        self.text += data


def right_answers(count: int) -> str:
    return "".join(f"{number}: {QUESTIONS[number - 1].answer}\n" for number in range(1, count + 1))


def test_the_report_names_who_did_what_in_three_forms(
    up: Callable[..., Class], tmp_path: Path
) -> None:
    made = up("ada", "bo", bo="=cmd|' /C calc'!A0")
    made.push("ada", {ANSWERS_FILE: f"{right_answers(2)}3: wrong\n"})
    progress.append(
        made.settings,
        [
            Change(1_000_000.0, "bo", "pushed", "no"),
            Change(1_000_090.0, "bo", "pushed", "yes"),
            Change(1_000_100.0, "bo", "wired", "no", stuck=True),
            Change(1_000_400.0, "bo", "wired", "yes"),
        ],
    )
    ended = run("--output", str(tmp_path / "out"))
    lines = csv.DictReader(io.StringIO((tmp_path / "out/class.csv").read_text()))
    ada, bo = lines
    suite = ElementTree.parse(tmp_path / "out/bo.xml").getroot()[0]

    assert ended.exit_code == 0, ended.output
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "ada.xml",
        "bo.xml",
        "class.csv",
        "class.html",
    ]
    assert (ada["quiz_answered"], ada["quiz_right"], bo["quiz_answered"]) == ("3", "2", "")
    assert (bo["pushed_first_done"], bo["pushed_minutes"]) == ("1970-01-12T13:48:10+00:00", "1.5")
    assert bo["wired_stuck_minutes"] == "5.0"
    assert bo["name"].startswith("'="), "a spreadsheet must not take a name for a formula"
    assert [case.get("name") for case in suite] == list(STEPS)
    assert suite.find("testcase[@name='pushed']").get("time") == "90.000"  # type: ignore[union-attr]


def test_what_the_cluster_lacked_is_on_the_page_as_text() -> None:
    shown = Page(page("lab", back(), 0.0, ["on <b>one</b>, nothing is enforced"]))
    assert "on <b>one</b>, nothing is enforced" in shown.text
    assert "lacked" not in Page(page("lab", back(), 0.0)).text


def test_a_name_is_text_on_the_page_whatever_is_in_it(
    up: Callable[..., Class], tmp_path: Path
) -> None:
    up("ada", ada="<script>alert(1)</script> Lovelace")
    run("--output", str(tmp_path / "out"))
    page = Page((tmp_path / "out/class.html").read_text())

    assert "script" not in page.tags
    assert page.text.count("<script>alert(1)</script> Lovelace") == 2


def test_nothing_on_it_is_a_value_a_password_or_an_address(
    up: Callable[..., Class], tmp_path: Path
) -> None:
    made = up("ada")
    run("--output", str(tmp_path / "out"))
    written = "".join(path.read_text() for path in (tmp_path / "out").iterdir())

    assert "Ada" in written
    for secret in ("correct-horse", "ada@example.org", *made.identities):
        assert secret not in written


def test_only_its_owner_can_read_it(up: Callable[..., Class]) -> None:
    made = up("ada")
    run()
    folder = Path(made.settings.class_dir, "report")

    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}


def test_a_lab_without_a_class_has_nothing_to_report_on(
    up: Callable[..., Class], tmp_path: Path
) -> None:
    made = up("ada")
    Path(made.settings.class_dir, "roster.json").unlink()
    ended = run("--output", str(tmp_path / "out"))

    assert ended.exit_code != 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_written_to_is_named(
    up: Callable[..., Class], tmp_path: Path, place: str
) -> None:
    up("ada")
    (tmp_path / "file").write_text("x")
    ended = run("--output", str(tmp_path / place))

    assert ended.exit_code == 2
    assert str(tmp_path / place) in ended.output
