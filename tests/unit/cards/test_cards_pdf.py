"""The PDF: what a browser would print, with readable text, in the scripts of the machine's
fonts."""

from __future__ import annotations

import builtins
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType

import pytest

from sopslab.cards.card import Card
from sopslab.cards.folder import put
from sopslab.cards.page import sheet
from sopslab.cards.pdf import NoPdf, pdf
from sopslab.cards.printing import printed
from sopslab.layout import PROJECT

from .conftest import FINGERPRINT, TYPED, printed_pages


def words(text: str) -> str:
    return " ".join(text.split())


@pytest.mark.parametrize("two_up", [False, True])
def test_everything_that_is_typed_stands_on_one_line(
    card: Callable[..., Card], two_up: bool
) -> None:
    made = card(ca=FINGERPRINT, settings={"git_bind": "192.168.100.200", "git_port": 58418})
    (text,) = printed_pages(pdf(sheet("class", [made], two_up=two_up)))
    lines = [words(line) for line in text.splitlines()]
    for typed in (made.page, made.clone_url, f"Login {made.seat}", *(made.fingerprint or ())):
        assert [line for line in lines if line.endswith(typed)], typed
    assert [line for line in lines if line.startswith(f"Password {TYPED} ")]
    commands = [command for step in made.steps() for command in step.commands]
    assert [command for command in commands if command not in lines] == []
    said = [text for step in made.steps() for text in (step.title, step.text)]
    assert [part for part in said if part not in words(text)] == []


@pytest.mark.parametrize(("two_up", "pages"), [(False, 3), (True, 2)])
def test_each_card_has_its_place(card: Callable[..., Card], two_up: bool, pages: int) -> None:
    made = [card(id=seat, name=f"Name of {seat}") for seat in ("ada", "bob", "eve")]
    shown = printed_pages(pdf(sheet("class", made, two_up=two_up)))
    assert len(shown) == pages
    for number, one in enumerate(made):
        assert one.name in shown[number // 2 if two_up else number]


@pytest.mark.parametrize(
    "name",
    ["Zoë Łukasz", "Ωρίων Жанна", "李雷 山田", "नमन", "سلمى", "Ada ☃", "a\N{COMBINING DIAERESIS}"],
)
def test_a_name_in_any_script_is_on_the_card(card: Callable[..., Card], name: str) -> None:
    (text,) = printed_pages(pdf(sheet("ada", [card(name=name)])))
    # Text from right to left is read back in another order, so only its characters are compared.
    signs = "".join(sorted(text))
    assert [sign for sign in name if sign not in signs and sign.isalpha()] == []


@pytest.mark.parametrize("two_up", [False, True])
def test_the_longest_lines_of_a_roster_still_fit(card: Callable[..., Card], two_up: bool) -> None:
    made = card(
        id="x" * 40,
        name="W" * 200,
        group="W" * 200,
        username="x" * 40,
        ca=FINGERPRINT,
        settings={"git_bind": "192.168.100.200", "git_port": 58418},
    )
    shown = printed_pages(pdf(sheet("class", [made, made], two_up=two_up)))
    assert len(shown) == (1 if two_up else 2)
    for page in shown:
        assert page.count("This card holds a password.") == (2 if two_up else 1)


def test_the_same_page_gives_the_same_bytes_in_another_process(card: Callable[..., Card]) -> None:
    page = sheet("ada", [card(name="Zoë 李雷 नमन")])
    program = (
        "import sys; from sopslab.cards.pdf import pdf;"
        "sys.stdout.buffer.write(pdf(sys.stdin.buffer.read().decode()))"
    )
    made = [
        subprocess.run(
            [sys.executable, "-c", program],
            cwd=PROJECT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            input=page.encode(),
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert made[0] == made[1] == pdf(page)


def test_nothing_in_it_tells_when_it_was_made(card: Callable[..., Card]) -> None:
    assert b"Date" not in pdf(sheet("ada", [card()]))


def test_nothing_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "style.css"
    file.write_text("p::after { content: ' from the disk' }")
    asked: list[object] = []
    monkeypatch.setattr(socket, "create_connection", lambda *given, **_: asked.append(given))
    page = (
        f'<link rel=stylesheet href="{file.as_uri()}"><img src="http://127.0.0.1:9/x">'
        '<link rel=stylesheet href="data:text/css,p::before{content:%27inside %27}"><p>text'
    )
    (text,) = printed_pages(pdf(page))
    assert words(text) == "inside text"
    assert asked == []


@pytest.fixture
def without_pango(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which WeasyPrint finds no Pango."""
    real = builtins.__import__

    def missing(
        name: str,
        globals: Mapping[str, object] | None = None,
        locals: Mapping[str, object] | None = None,
        fromlist: tuple[str, ...] = (),
        level: int = 0,
    ) -> ModuleType:
        if name.partition(".")[0] == "weasyprint":
            raise OSError("cannot load library 'libpango-1.0-0'")
        return real(name, globals, locals, fromlist, level)

    monkeypatch.setattr(builtins, "__import__", missing)


@pytest.mark.usefixtures("without_pango")
@pytest.mark.parametrize(
    ("manager", "wanted"),
    [
        ("apt-get", "libharfbuzz-subset0 libpango-1.0-0 libpangoft2-1.0-0"),
        ("dnf", "dejavu-sans-fonts harfbuzz pango"),
        (None, "needs Pango and HarfBuzz"),
    ],
)
def test_without_its_libraries_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, manager: str | None, wanted: str
) -> None:
    monkeypatch.setattr(
        "sopslab.cards.pdf.shutil.which", lambda name: name if name == manager else None
    )
    with pytest.raises(NoPdf) as raised:
        pdf("<p>text")
    assert wanted in str(raised.value)
    assert len(str(raised.value).splitlines()) == 1


def test_a_pdf_is_made_only_where_its_page_has_changed(tmp_path: Path) -> None:
    files, missing = printed(tmp_path, {"ada": "<p>a", "bob": "<p>b"})
    assert (list(files), missing) == (["ada.pdf", "ada.html", "bob.pdf", "bob.html"], "")
    put(tmp_path, files)
    again, _ = printed(tmp_path, {"ada": "<p>a", "bob": "<p>c"})
    assert list(again) == ["ada.html", "bob.pdf", "bob.html"]
    (tmp_path / "ada.pdf").chmod(0o644)
    assert "ada.pdf" in printed(tmp_path, {"ada": "<p>a"})[0]


@pytest.mark.usefixtures("without_pango")
def test_where_none_can_be_made_none_of_an_older_page_is_left(tmp_path: Path) -> None:
    put(tmp_path, {"ada.pdf": b"old", "ada.html": b"old"})
    files, missing = printed(tmp_path, {"ada": "<p>new"})
    assert missing.startswith("no PDF was made")
    assert put(tmp_path, files) == ["ada.pdf", "ada.html"]
    assert [path.name for path in tmp_path.iterdir()] == ["ada.html"]
    assert put(tmp_path, printed(tmp_path, {"ada": "<p>new"})[0]) == []
