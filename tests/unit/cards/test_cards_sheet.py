"""The PDF: a page for each card, with text that can be read back, in any script it can show."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from sopslab.cards import code, fonts
from sopslab.cards.card import Card
from sopslab.cards.sheet import sheet
from sopslab.layout import PROJECT
from tests.marks import mostly_soak

from .conftest import FINGERPRINT, PASSWORD
from .pdf_text import pages


def words(text: str) -> str:
    return " ".join(text.split())


def test_each_card_has_a_page_with_all_that_it_says(card: Callable[..., Card]) -> None:
    made = [card(id=seat, name=f"Name of {seat}", group="Table 3") for seat in ("ada", "bob")]
    shown = pages(sheet("class", made))
    assert len(shown) == 2
    for one, text in zip(made, shown, strict=True):
        parts = [one.name, "Table 3", "Lab lab", one.namespace, one.clone_url]
        parts += [PASSWORD.format("ada")]
        parts += [said for step in one.steps() for said in (step.title, step.text, *step.commands)]
        assert [part for part in parts if part not in words(text)] == []


def test_the_fingerprint_is_on_it_where_there_is_one(card: Callable[..., Card]) -> None:
    (text,) = pages(sheet("ada", [card(ca=FINGERPRINT)]))
    assert FINGERPRINT in text.replace("\n", "")


@pytest.mark.parametrize(
    "name",
    mostly_soak(
        [
            "Zoë",
            "Ștefan",
            "李雷",
            "山田さくら",
            "Łukasz Żółć",
            "Ωρίων",
            "Жанна",
            "Nguyễn Thị",
            "謝",
        ],
        *("Zoë", "李雷", "Жанна"),
    ),
)
def test_names_are_shown_as_they_are_written(card: Callable[..., Card], name: str) -> None:
    (text,) = pages(sheet("ada", [card(name=name)]))
    assert name in text
    assert "can be printed as written" not in text


def test_accents_that_come_apart_are_put_together(card: Callable[..., Card]) -> None:
    (text,) = pages(sheet("ada", [card(name="Zoe\u0308")]))
    assert "Zoë" in text
    assert "can be printed as written" not in text


@pytest.mark.parametrize(
    ("name", "written"),
    [("한강", "HanGang"), ("नमन", "???"), ("Ada ☃🎓", "Ada ☃?"), ("سلمى", "????")],
)
def test_what_cannot_be_shown_is_said_where_it_is_missing(
    card: Callable[..., Card], name: str, written: str
) -> None:
    (text,) = pages(sheet("ada", [card(name=name)]))
    assert f"Lab lab{written}the repository" in text.replace("\n", "")
    assert "Not all of the name can be printed as written: see ada.html." in words(text)


def test_a_password_is_never_written_in_other_letters(card: Callable[..., Card]) -> None:
    (text,) = pages(sheet("ada", [card(password="한-1", group="한")]))
    assert "\n?-1\n" in text
    assert "Not all of the group and the password can be printed" in words(text)


def test_the_longest_lines_of_a_roster_still_fit_on_one_page(card: Callable[..., Card]) -> None:
    made = card(
        id="x" * 40,
        name="李" * 200,
        group="W" * 200,
        username="x" * 40,
        ca=FINGERPRINT,
        settings={"git_url": f"https://{'a' * 60}.example", "git_username": "x",
                  "git_password": "x"},
    )  # fmt: skip
    assert len(pages(sheet("ada", [made, made]))) == 2


def test_the_same_cards_give_the_same_bytes_in_another_process(card: Callable[..., Card]) -> None:
    made = card(name="Zoë 李雷")
    program = (
        "import sys; from sopslab.cards.card import *; from sopslab.cards.sheet import sheet;"
        f"sys.stdout.buffer.write(sheet('ada', [{made!r}]))"
    ).replace("username='ada'", f"username='ada', password={made.access.password!r}")
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=PROJECT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        assert done.stdout == sheet("ada", [made])


def test_nothing_in_the_pdf_tells_when_it_was_made(card: Callable[..., Card]) -> None:
    assert b"/CreationDate (D:20000101000000Z)" in sheet("ada", [card()])


def test_the_code_is_drawn_from_the_modules_of_the_address() -> None:
    text = "http://127.0.0.1:8418/ada/lab.git"
    size = code.size(text)
    dark = {
        (column + offset, row) for column, row, width in code.bars(text) for offset in range(width)
    }
    # The three squares in the corners, inside a margin of four, are how a reader finds it.
    for x, y in ((4, 4), (size - 11, 4), (4, size - 11)):
        assert {(x + step, y) for step in range(7)} <= dark
        assert {(x + 1 + step, y + 1) for step in range(5)} & dark == set()
    assert {min(column for column, _ in dark), min(row for _, row in dark)} == {4}


def test_a_character_is_cut_out_of_the_large_font_only_where_no_other_has_it() -> None:
    assert fonts.rare("Zoë 李雷 Ștefan 李") == "李雷"
    assert len(fonts.cut("李雷")) < 20_000
