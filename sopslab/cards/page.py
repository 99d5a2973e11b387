"""Cards as pages of HTML that need nothing else: no script, no font of their own, no network."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from sopslab.cards.card import Card
from sopslab.files.render import template_environment
from sopslab.layout import TEMPLATES

# Escaping is on: names come from a roster, and a page is opened in a browser.
_ENVIRONMENT = template_environment(TEMPLATES / "cards", escaping=True)


def sheet(title: str, cards: Sequence[Card], *, two_up: bool = False) -> str:
    """Return a printable page of cards that have a login; the same cards give the same page.

    + two_up: whether a sheet of A4 has two cards, with marks where to cut, and not one
    """
    # Imported here: `up` makes only learners' own pages, and must not wait for this import.
    from sopslab.cards import code

    # The codes are drawn from our own numbers, and hold nothing that would have to be escaped.
    drawn = [(card, Markup(code.svg(card.page))) for card in cards]
    together = 2 if two_up else 1
    sheets = [drawn[at : at + together] for at in range(0, len(drawn), together)]
    return _ENVIRONMENT.get_template("sheet.html.j2").render(
        title=title, sheets=sheets, two_up=two_up
    )


def own_page(card: Card, place: str) -> str:
    """Return the page for a learner who has logged in; it holds no password.

    + place: the mark that the Git server replaces with the learner's progress
    """
    return _ENVIRONMENT.get_template("own.html.j2").render(card=card, row=Markup(place))
