"""Cards as a PDF to print: A4, a page for each, with its fonts inside."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from fpdf import FPDF
from typing_extensions import override

from sopslab.cards import code, fonts
from sopslab.cards.card import Card

# A file that says when it was made would differ with every run.
_MADE = datetime(2000, 1, 1, tzinfo=UTC)

_MARGIN = 16
_BOTTOM = 12
_CODE = 40  # millimetres, as all that follow
_LABEL = 30
_BLACK, _GREY, _RULE, _SHADE = 0, 90, 200, 242
# Lines overlap by this much, or some viewers show white hairs between the rows of the code.
_OVERLAP = 0.02
# The height of a line, in millimetres for each point of its font.
_LEADING = 0.5
# From so many characters on, a text is set small: a roster's lines have up to 200.
_LONG = 60


def sheet(title: str, cards: Sequence[Card]) -> bytes:
    """Return the PDF of `cards`; the same cards give the same bytes."""
    with tempfile.TemporaryDirectory(prefix="sopslab-fonts-") as folder:
        pdf = _Sheet(title, fonts.rare("".join(map(_words, cards))), Path(folder))
        for card in cards:
            pdf.draw(card)
        # The fonts are read to the end here.
        return bytes(pdf.output())


def _words(card: Card) -> str:
    """Return everything on a card that was not written by us."""
    return fonts.composed(
        "".join((card.name, card.group or "", card.access.username, card.access.password))
    )


class _Sheet(FPDF):
    def __init__(self, title: str, rare: str, folder: Path) -> None:
        super().__init__(format="A4", unit="mm")
        self.set_title(title)
        self.set_lang("en")
        self.set_producer("sops-lab")
        self.set_creation_date(_MADE)
        self.set_margin(_MARGIN)
        # Whatever a roster says, nothing of a card may be lost at the end of a page.
        self.set_auto_page_break(True, _BOTTOM)
        self.add_font("sans", fname=fonts.SANS)
        self.add_font("mono", fname=fonts.MONO)
        fallbacks = ["sans"]
        if rare:
            file = folder / "cjk.ttf"
            file.write_bytes(fonts.cut(rare))
            self.add_font("cjk", fname=file, variations={"wght": 400.0})
            fallbacks.append("cjk")
        self.set_fallback_fonts(fallbacks, exact_match=False)

    def draw(self, card: Card) -> None:
        """Put a card on a page of its own."""
        self.add_page()
        self._head(card)
        self._facts(card)
        for number, step in enumerate(card.steps(), 1):
            self.ln(3.5)
            self._write(f"{number}. {step.title}", 12)
            self._write(step.text, 9.5)
            self.ln(0.8)
            self.set_fill_color(_SHADE)
            for command in step.commands:
                self._write(command, 9.5, family="mono", fill=True)

    @override
    def footer(self) -> None:
        self.set_y(-_BOTTOM)
        self._write("This card holds a password. Keep it to yourself.", 9)

    def _head(self, card: Card) -> None:
        top, right = self.get_y(), self.w - self.r_margin - _CODE
        beside = self.epw - _CODE - 6
        intro = f"sops-lab: secrets with SOPS, age and Flux. Lab {card.lab}"
        self._write(intro, 9.5, grey=True, width=beside)
        self.ln(1)
        self._write(fonts.shown(card.name), _fitting(card.name, 20), width=beside)
        below = self.get_y()
        # Its own margin is white: that goes above the page's.
        self._code(card.clone_url, right, top - 4)
        self.set_xy(right, top + _CODE - 5)
        self._write("the repository’s URL", 8, grey=True, width=_CODE, align="C")
        self.set_y(max(below, self.get_y()) + 2)

    def _code(self, text: str, x: float, y: float) -> None:
        module = _CODE / code.size(text)
        self.set_fill_color(_BLACK)
        for column, row, width in code.bars(text):
            self.rect(
                x + column * module,
                y + row * module,
                width * module + _OVERLAP,
                module + _OVERLAP,
                style="F",
            )

    def _facts(self, card: Card) -> None:
        self._fact("Seat", card.seat)
        if card.group is not None:
            self._fact("Group", fonts.shown(card.group), family="sans")
        self._fact("Namespace", card.namespace)
        self._fact("Repository", card.clone_url)
        self._fact("Login", fonts.exact(card.access.username))
        self._fact("Password", fonts.exact(card.access.password))
        if card.ca is not None:
            half = len(card.ca) // 2 + 1
            lines = card.ca[:half], card.ca[half:]
            self._fact("CA (SHA-256)", "\n".join(lines))
        lacking = _lacking(card)
        if lacking:
            self.ln(1)
            parts = " and the ".join(lacking)
            told = f"Not all of the {parts} can be printed as written: see {card.seat}.html."
            self._write(told, 9.5)

    def _fact(self, label: str, value: str, family: str = "mono") -> None:
        top = self.get_y()
        self._write(label, 9.5, grey=True, width=_LABEL)
        self.set_xy(self.l_margin + _LABEL, top)
        self._write(value, _fitting(value, 10.5), family=family, width=self.epw - _LABEL)
        below = self.get_y() + 0.4
        self.set_draw_color(_RULE)
        self.line(self.l_margin, below, self.w - self.r_margin, below)
        self.set_y(below + 0.6)

    def _write(
        self,
        text: str,
        size: float,
        *,
        family: str = "sans",
        width: float = 0,
        align: str = "L",
        grey: bool = False,
        fill: bool = False,
    ) -> None:
        """Write one paragraph, and go to the left margin below it."""
        self.set_font(family, size=size)
        self.set_text_color(_GREY if grey else _BLACK)
        height = size * _LEADING
        self.multi_cell(width, height, text, align=align, fill=fill, new_x="LMARGIN", new_y="NEXT")


def _fitting(text: str, size: float) -> float:
    """Return the size for a text that should be of `size`, unless it is long."""
    return size if len(text) <= _LONG else min(size, 9.0)


def _lacking(card: Card) -> list[str]:
    """Return which parts of a card the fonts cannot show as they are."""
    parts = {
        "name": card.name,
        "group": card.group or "",
        "login": card.access.username,
        "password": card.access.password,
    }
    return [part for part, text in parts.items() if fonts.exact(text) != fonts.composed(text)]
