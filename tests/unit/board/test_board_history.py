"""The history of a class: what counts as a change, since when, and how it is drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sopslab.checks.board import history
from sopslab.checks.board.judge import judge
from sopslab.checks.board.steps import STEPS, Progress, Row, Step
from sopslab.config.settings import Settings
from sopslab.lab.act import progress
from sopslab.lab.observe.progress import progress_file, recorded_progress
from sopslab.model.progress import HELP, Change, as_lines, in_lines
from tests.unit.board.board_material import ADA, DONE, KUSTOMIZATION, fresh, suspended, with_facets

FRESH = judge(ADA, fresh())
STUCK = judge(ADA, with_facets(kustomizations=[suspended(KUSTOMIZATION)]))
ALL = judge(ADA, DONE)


def unseen(row: Row) -> Row:
    """Return the row of a learner when the cluster does not answer."""
    return replace(row, steps=tuple(Step(one.id, Progress.UNKNOWN) for one in row.steps))


def seen(*rows: Row, times: tuple[float, ...]) -> list[Change]:
    """Return the history of one learner who was seen in these rows at these times."""
    changes: list[Change] = []
    for row, now in zip(rows, times, strict=True):
        changes += history.changed(history.latest(changes), [row], now)
    return changes


def test_the_first_look_records_every_step_that_is_known() -> None:
    changes = history.changed({}, [STUCK], 100.0)

    assert [one.step for one in changes] == [name for name in STEPS if name != "secret"]
    assert Change(100.0, "ada", "applied", "no", stuck=True) in changes
    assert Change(100.0, "ada", "pushed", "yes") in changes


def test_what_is_as_before_is_no_change() -> None:
    assert seen(STUCK, STUCK, times=(1.0, 2.0)) == seen(STUCK, times=(1.0,))


def test_a_cluster_that_does_not_answer_changes_nothing() -> None:
    assert seen(STUCK, unseen(STUCK), STUCK, times=(1.0, 2.0, 3.0)) == seen(STUCK, times=(1.0,))


def test_getting_stuck_at_a_step_that_was_open_is_a_change() -> None:
    freed = replace(STUCK, steps=tuple(replace(one, stuck=False) for one in STUCK.steps))
    changes = seen(freed, STUCK, times=(1.0, 2.0))

    assert changes[-1] == Change(2.0, "ada", "applied", "no", stuck=True)


def test_asking_for_help_is_on_record_from_when_it_was_asked_until_it_is_taken_back() -> None:
    changes = seen(FRESH, replace(FRESH, asked=5.0), FRESH, FRESH, times=(1.0, 6.0, 9.0, 12.0))

    assert [one for one in changes if one.step == HELP] == [
        Change(5.0, "ada", HELP, "yes"),
        Change(9.0, "ada", HELP, "no"),
    ]


@pytest.mark.parametrize(
    ("rows", "times", "since"),
    [
        ((FRESH,), (1.0,), 1.0),
        ((FRESH, STUCK), (1.0, 2.0), 2.0),
        ((FRESH, STUCK, STUCK), (1.0, 2.0, 3.0), 2.0),
        ((FRESH, STUCK, unseen(STUCK), STUCK), (1.0, 2.0, 3.0, 4.0), 2.0),
        ((STUCK, ALL), (1.0, 2.0), 2.0),
        ((FRESH, ALL, replace(ALL, asked=9.0)), (1.0, 2.0, 9.0), 2.0),
    ],
)
def test_since_when_a_row_is_as_it_is(
    rows: tuple[Row, ...], times: tuple[float, ...], since: float
) -> None:
    changes = seen(*rows, times=times)

    assert history.since(history.latest(changes), rows[-1]) == since


def test_what_is_not_on_record_is_since_no_time() -> None:
    assert history.since({}, STUCK) is None
    assert history.since(history.latest(seen(FRESH, times=(1.0,))), STUCK) is None


@pytest.mark.parametrize(
    ("times", "opened", "begun"),
    [
        ([], 50_000.0, 50_000.0),
        ([49_000.0, 49_500.0], 50_000.0, 49_000.0),
        ([1.0, 49_000.0], 50_000.0, 49_000.0),
        ([1.0, 2.0], 50_000.0, 50_000.0),
        ([49_000.0, 60_000.0], 50_000.0, 49_000.0),
    ],
)
def test_a_lesson_begins_after_a_long_pause(
    times: list[float], opened: float, begun: float
) -> None:
    changes = [Change(at, "ada", "key", "yes") for at in times]

    assert history.beginning(changes, opened) == begun


def test_curves_count_who_has_a_step_done_and_begin_with_what_was_before() -> None:
    changes = [
        Change(1.0, "ada", "key", "yes"),
        Change(5.0, "zoe", "key", "yes"),
        Change(110.0, "bob", "key", "yes"),
        Change(130.0, "ada", "key", "no"),
        Change(130.0, "ada", "wired", "no"),
        Change(140.0, "eve", "key", "yes"),
    ]
    (curve,) = [
        one for one in history.by_step(changes, ["ada", "bob", "zoe"], 100.0) if one.name == "key"
    ]

    assert list(curve.points) == [(0.0, 2), (10.0, 3), (30.0, 2)]


def test_a_curve_of_a_learner_counts_the_steps_and_no_marks() -> None:
    changes = [*seen(FRESH, times=(100.0,)), Change(160.0, "ada", "pushed", "yes")]
    changes.append(Change(170.0, "ada", HELP, "yes"))

    assert list(history.by_learner(changes, 100.0)["ada"].points) == [(0.0, 3), (60.0, 4)]


def test_who_changes_something_all_the_time_takes_nothing_of_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(history, "MOST", 40)
    own = [Change(float(at), "ada", "key", "yes") for at in range(3)]
    loud = [Change(float(at), "eve", "pushed", ["yes", "no"][at % 2]) for at in range(3, 100)]
    loud[0] = replace(loud[0], step="key")
    kept = history.bounded([*own, *loud])

    assert [one for one in kept if one.seat == "ada"] == own
    assert len(kept) <= 20
    assert history.latest(kept) == history.latest([*own, *loud])
    assert history.bounded(kept) == kept


def test_changes_are_read_as_they_were_written(settings: Settings) -> None:
    changes = seen(FRESH, STUCK, times=(1.0, 2.5))
    progress.append(settings, changes[:3])
    progress.append(settings, changes[3:])

    assert recorded_progress(settings) == changes
    assert Path(progress_file(settings)).stat().st_mode & 0o777 == 0o600


def test_whoever_gets_the_id_of_an_archived_seat_begins_anew(settings: Settings) -> None:
    before, after = (Change(at, "spare-1", "key", "yes") for at in (900.0, 1300.0))
    others = Change(800.0, "spare", "key", "yes")
    progress.append(settings, [others, before, after])
    for name in ("spare-1-1000", "spare-1-1200", "spare-2-2000", "no-time"):
        Path(settings.pruned_dir, name).mkdir(parents=True)

    assert recorded_progress(settings) == [others, after]


def test_half_a_line_that_a_killed_process_left_harms_no_other(settings: Settings) -> None:
    first, second = seen(FRESH, times=(1.0,))[:2]
    progress.append(settings, [first])
    with Path(progress_file(settings)).open("ab") as file:
        file.write(as_lines([second])[:20])
    progress.append(settings, [second])

    assert recorded_progress(settings) == [first, second]


@pytest.mark.parametrize("line", [b"{}", b"[1]", b"nul", b"\xff\xfe", b'{"at": true}'])
def test_a_line_that_is_no_change_is_left_out(line: bytes) -> None:
    (first, *_) = changes = seen(FRESH, times=(1.0,))[:2]

    assert in_lines(as_lines([first]) + line + b"\n" + as_lines(changes[1:])) == changes


def test_a_record_that_is_too_long_keeps_the_newest(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "MOST", 40)
    monkeypatch.setattr(progress, "_MOST_BYTES", 2000)
    for at in range(100):
        progress.append(settings, [Change(float(at), "ada", "key", ["yes", "no"][at % 2])])

    kept = recorded_progress(settings)
    assert kept[-1] == Change(99.0, "ada", "key", "no")
    assert Path(progress_file(settings)).stat().st_size < 4500
    assert Path(progress_file(settings)).stat().st_mode & 0o777 == 0o600


def test_the_form_on_disk_is_one_object_a_line() -> None:
    text = as_lines([Change(1.5, "ada", "applied", "no", stuck=True)])

    assert json.loads(text) == {
        "at": 1.5,
        "seat": "ada",
        "step": "applied",
        "progress": "no",
        "stuck": True,
    }
    assert text.endswith(b"}\n")
