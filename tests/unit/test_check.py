"""How the checks of `make test` are run: side by side, and with the first failure's code."""

from __future__ import annotations

import os
import time
from itertools import combinations
from pathlib import Path
from threading import Event, Lock

import pytest
from _pytest.mark.expression import Expression

from tests import check
from tests.check import AT_WORK, CLUSTERS, REAL, SOAK, Command, run


def test_commands_of_a_check_go_on_beside_one_another(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    met = {"PATH": os.environ["PATH"], "PIPE": str(tmp_path / "pipe")}
    code = run(
        [
            Command("hears", ["timeout", "60", "sh", "-c", 'cat "$PIPE"']),
            Command("says", ["timeout", "60", "sh", "-c", 'echo "$WORD" >"$PIPE"'], {"WORD": "hi"}),
        ],
        met,
    )
    assert code == 0
    assert "hi\n" in capfd.readouterr().out


def test_the_words_of_each_end_with_its_code_and_the_first_failure_counts(
    capfd: pytest.CaptureFixture[str],
) -> None:
    checks = [
        Command(title, ["sh", "-c", f"echo from {title}; echo beside >&2; exit {code}"])
        for title, code in (("one", 0), ("two", 3), ("three", 4))
    ]
    assert run(checks, os.environ) == 3
    out = capfd.readouterr().out
    assert "from one\n" in out
    for title, code in (("two", 3), ("three", 4)):
        assert f"from {title}\nbeside\n── {title}: exit {code}, " in out


def test_no_more_commands_than_can_be_at_work_are(monkeypatch: pytest.MonkeyPatch) -> None:
    at_work, change, full = [0], Lock(), Event()

    def execute(*_: object) -> int:
        with change:
            at_work.append(at_work[-1] + 1)
        if at_work[-1] >= AT_WORK:
            full.set()
        # Wait until all places are taken; then leave time for one command too many.
        assert full.wait(60)
        time.sleep(0.1)
        with change:
            at_work.append(at_work[-1] - 1)
        return 0

    monkeypatch.setattr(check, "execute", execute)
    assert run([Command(str(one), []) for one in range(3 * AT_WORK)], {}) == 0
    assert (max(at_work), at_work[-1]) == (AT_WORK, 0)


MARKS = ("soak", "in_class", "on_own", "exclusive", "campaign", "machines", "hand_made")


def selects(command: Command, marks: tuple[str, ...]) -> bool:
    expression = command.arguments[command.arguments.index("-m", 3) + 1]
    return Expression.compile(expression).evaluate(lambda name, /, **_: name in marks)


def test_whatever_its_marks_a_test_with_docker_is_run() -> None:
    checks = [REAL, *SOAK, *CLUSTERS]
    commands = [one for check in checks for one in check if "tests/cluster" in one.arguments]
    assert len(commands) > 2
    sets = [one for number in range(len(MARKS) + 1) for one in combinations(MARKS, number)]
    assert [marks for marks in sets if not any(selects(one, marks) for one in commands)] == []
