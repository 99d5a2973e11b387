"""`sopslab helped`: whose mark it removes, and whom it refuses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from sopslab.cli.main import main
from sopslab.config.environment import at_seat, bare_repository
from sopslab.config.settings import Learner, Settings
from sopslab.lab.observe.asking import asked
from sopslab.lab.tools import files
from sopslab.model.mark import MARK, parse_mark, render_mark
from tests.commands import enrol, say_format

Marks = Callable[..., None]


@pytest.fixture
def marks(settings: Settings) -> Marks:
    """Return a function that makes a class of three, some of whom have been asking for help for so
    many minutes."""

    def make(**minutes: float) -> None:
        enrol(settings, "ada", "bob", "eve")
        for seat in ("ada", "bob", "eve"):
            bare = repository(settings, seat)
            bare.mkdir(parents=True)
            if seat in minutes:
                (bare / MARK).write_text(render_mark(time.time() - 60 * minutes[seat]))

    return make


def repository(settings: Settings, seat: str) -> Path:
    environment = at_seat(Learner(id=seat, name=seat, email=f"{seat}@lab.example"))
    return Path(bare_repository(settings, environment))


def asking(settings: Settings) -> list[str]:
    return [seat for seat in ("ada", "bob", "eve") if (repository(settings, seat) / MARK).exists()]


def helped(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["helped", *arguments])


def test_the_marks_of_those_who_are_named_go_and_no_others(
    settings: Settings, marks: Marks
) -> None:
    marks(ada=12.5, bob=125)
    done = helped("ada", "eve", "ada")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "ada no longer asks for help, after 12 min",
        "eve does not ask for help",
    ]
    assert asking(settings) == ["bob"]


def test_again_it_changes_nothing_and_ends_well(settings: Settings, marks: Marks) -> None:
    marks(ada=1)
    first, second = helped("ada", "--json"), helped("ada", "--json")

    assert [done.exit_code for done in (first, second)] == [0, 0]
    told = [json.loads(done.stdout) for done in (first, second)]
    assert [(one["ok"], one["changed"], list(one["helped"])) for one in told] == [
        (True, 1, ["ada"]),
        (True, 0, []),
    ]


def test_all_are_all(settings: Settings, marks: Marks) -> None:
    marks(ada=1, eve=2)
    assert helped("--all").stdout.splitlines() == [
        "ada no longer asks for help, after 1 min",
        "eve no longer asks for help, after 2 min",
    ]
    assert asking(settings) == []
    assert helped("--all").stdout == "nobody asks for help\n"


def test_a_mark_that_cannot_be_read_goes_as_well(settings: Settings, marks: Marks) -> None:
    marks()
    (repository(settings, "ada") / MARK).write_text("{")
    assert helped("ada").exit_code == 0
    assert asking(settings) == []


def test_a_mark_that_is_set_while_others_are_removed_stays(
    settings: Settings, marks: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    marks(ada=1, eve=1)
    remove = files.remove

    def late(path: str | Path) -> None:
        (repository(settings, "eve") / MARK).write_text(render_mark(time.time()))
        remove(path)

    monkeypatch.setattr(files, "remove", late)
    told = json.loads(helped("--all", "--json").stdout)
    assert list(told["helped"]) == ["ada", "eve"]
    assert asking(settings) == ["eve"]


@pytest.mark.parametrize(
    ("arguments", "problems"),
    [
        (
            ("joe", "ada", "zoe"),
            [
                "there is no seat joe: the class has ada, bob, eve",
                "there is no seat zoe: the class has ada, bob, eve",
            ],
        ),
        (("--all", "ada"), ["--all goes without IDs"]),
        ((), ["name the learners, or --all: ada, bob, eve"]),
        (("learner",), ["there is no seat learner: the class has ada, bob, eve"]),
    ],
)
def test_what_is_not_clear_is_refused_before_a_mark_goes(
    settings: Settings, marks: Marks, arguments: tuple[str, ...], problems: list[str]
) -> None:
    marks(ada=1, bob=1)
    done, as_json = helped(*arguments), helped("--json", *arguments)

    assert (done.exit_code, as_json.exit_code) == (2, 2)
    assert done.stderr.splitlines() == problems
    assert json.loads(as_json.stdout)["problems"] == problems
    assert asking(settings) == ["ada", "bob"]


def test_without_a_class_nobody_asks(settings: Settings) -> None:
    say_format(settings)
    done = helped("--all")
    assert (done.exit_code, done.stderr) == (2, "the lab has no class, so nobody asks for help\n")


def test_ids_are_completed(settings: Settings, marks: Marks) -> None:
    marks()
    complete = ShellComplete(main, {}, "sopslab", "_SOPSLAB_COMPLETE")
    words = complete.get_completions(["helped", "ada"], "")
    assert [word.value for word in words] == ["bob", "eve"]


@pytest.mark.parametrize(
    ("text", "since"),
    [
        (render_mark(12.5).encode(), 12.5),
        (None, None), (b"", None), (b"[]", None), (b"1", None), (b'{"since": "x"}', None),
        (b'{"since": null}', None), (b"\xff", None),
        (b'{"since": NaN}', None), (b'{"since": -1}', None), (b'{"since": 1e300}', None),
    ],
)  # fmt: skip
def test_a_mark_is_a_time_and_nothing_else_is(text: bytes | None, since: float | None) -> None:
    assert parse_mark(text) == since


def test_nobody_asks_where_there_is_no_repository(lab: Callable[..., Settings]) -> None:
    environment = at_seat(Learner(id="ada", name="Ada", email="ada@lab.example"))
    assert asked(lab(), environment) is None
