"""Where the time of a test run went, read from the files that the run left."""

from __future__ import annotations

from pathlib import Path

from tests.durations import note_verb, slowest_tests, verbs

JUNIT = """<testsuites><testsuite>
<testcase classname="tests.one" name="test_slow" time="12.5"/>
<testcase classname="tests.one" name="test_fast" time="0.1"/>
</testsuite></testsuites>
"""


def test_the_slowest_come_first_from_all_files(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(JUNIT)
    (tmp_path / "b.xml").write_text(JUNIT.replace("12.5", "7").replace("one", "two"))
    assert slowest_tests(2, tmp_path) == [
        (12.5, "tests.one::test_slow"),
        (7.0, "tests.two::test_slow"),
    ]


def test_runs_of_a_verb_are_added_up(tmp_path: Path) -> None:
    assert verbs(tmp_path) == []
    for verb, seconds in (("up", 3.0), ("status", 1.0), ("up", 2.5)):
        note_verb(verb, seconds, tmp_path)
    assert verbs(tmp_path) == [(5.5, 2, "up"), (1.0, 1, "status")]
