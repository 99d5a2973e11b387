"""The number that a lab's folder carries: how it is read, and what it means to a product."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sopslab import __version__
from sopslab.checks import takeover
from sopslab.checks.takeover import FORMAT, MIGRATIONS, takeover_plan, unfit
from sopslab.config.settings import Settings
from sopslab.errors import Exit, LabError
from sopslab.lab.observe.formats import lab_format
from sopslab.model.formats import Format, parse_format, render_format

OLDER, NEWER = Format(FORMAT - 1), Format(FORMAT + 1, "9.1.0")


@pytest.fixture
def folder(lab: Callable[..., Settings]) -> Path:
    found = Path(lab().lab_dir)
    found.mkdir(parents=True)
    return found


def seen(folder: Path, lab: Callable[..., Settings]) -> Format | None:
    return lab_format(lab().for_machine)


def test_a_format_is_read_as_it_was_written() -> None:
    assert parse_format(render_format(NEWER)) == NEWER


@pytest.mark.parametrize(
    "text",
    ["", "1", "[]", "{}", '{"format": "1"}', '{"format": true}', '{"format": 0}', '{"format": 1'],
)
def test_what_names_no_format_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError):
        parse_format(text)


@pytest.mark.parametrize("product", ['["2.0.0"]', '"2.0.0\\u001b[2J"', "null"])
def test_a_format_is_understood_whatever_a_newer_product_says_beside_it(product: str) -> None:
    assert parse_format(f'{{"format": 7, "product": {product}, "more": {{}}}}') == Format(7)


def test_a_folder_that_only_commands_have_touched_is_no_lab(
    folder: Path, lab: Callable[..., Settings]
) -> None:
    for name in ("lock", ".cluster.lock"):
        (folder / name).touch()
    (folder / "log").mkdir()
    assert seen(folder, lab) is None
    folder.joinpath("node").mkdir()
    assert seen(folder, lab) == Format()


def test_where_there_is_no_folder_there_is_no_lab(lab: Callable[..., Settings]) -> None:
    assert lab_format(lab().for_machine) is None


def test_a_number_that_is_damaged_is_no_older_format(
    folder: Path, lab: Callable[..., Settings]
) -> None:
    (folder / "keys").mkdir()
    (folder / "format").write_bytes(b"\xff\xfe")
    with pytest.raises(LabError) as raised:
        seen(folder, lab)
    assert raised.value.code is Exit.FORMAT
    assert str(folder / "format") in str(raised.value)


def test_a_newer_lab_is_worked_on_by_nothing_and_an_older_one_once_it_is_taken_over() -> None:
    assert unfit(None) is unfit(Format(FORMAT)) is unfit(OLDER, 0) is None
    refused = unfit(OLDER)
    assert refused is not None and "sopslab up" in refused
    for oldest in (0, FORMAT):
        refused = unfit(NEWER, oldest)
        assert refused is not None
        assert NEWER.product in refused and __version__ in refused


def test_a_plan_has_a_sentence_for_each_format_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    chain = (*MIGRATIONS, takeover.Migration("records are JSON", (), lambda _files: []))
    monkeypatch.setattr(takeover, "MIGRATIONS", chain)
    assert takeover_plan(None) == takeover_plan(Format(2, __version__)) == []
    assert takeover_plan(Format(1, __version__)) == ["format 1 becomes format 2: records are JSON"]
    assert len(takeover_plan(Format(0, __version__))) == 2
    assert takeover_plan(Format(0, __version__))[1:] == takeover_plan(Format(1, __version__))


@pytest.mark.parametrize(
    ("last", "present", "refused", "recorded"),
    [
        ("0.2.0", "0.2.0", False, False),
        ("0.2.0", "0.1.9", True, False),
        ("0.9.0", "0.10.0", False, True),
        # Before a release, and what a fork has built of it.
        ("0.2.0.dev1", "0.2.0", False, True),
        ("0.2.0", "0.2.0rc1", True, False),
        ("0.2.0", "0.2.0+course", False, True),
        # A lab of which it is not known who brought it up last.
        ("", "0.2.0", False, True),
        ("the newest", "0.2.0", False, True),
    ],
)
def test_a_lab_is_changed_by_no_older_version_than_brought_it_up(
    last: str, present: str, refused: bool, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "__version__", present)
    found = Format(FORMAT, last)
    for oldest in (0, FORMAT):
        reason = unfit(found, oldest)
        assert (reason is not None) is refused
        assert reason is None or (last in reason and present in reason)
    assert bool(takeover_plan(found)) is recorded


def test_no_migration_reaches_into_what_learners_write() -> None:
    theirs = ("work", "git/repositories", "**", "*")
    patterns = [pattern for migration in MIGRATIONS for pattern in migration.files]
    assert [pattern for pattern in patterns if pattern.startswith(theirs) or ".." in pattern] == []
