"""A card as a page of HTML that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from markupsafe import Markup

from sopslab.cards import code
from sopslab.cards.card import Card
from sopslab.files.render import template_environment
from sopslab.layout import TEMPLATES

# Escaping is on: names come from a roster, and a page is opened in a browser.
_ENVIRONMENT = template_environment(TEMPLATES / "cards", escaping=True)


def page(card: Card) -> str:
    """Return the page of a card; the same card gives the same page."""
    # The code is drawn from our own numbers, and holds nothing that would have to be escaped.
    return _ENVIRONMENT.get_template("card.html.j2").render(
        card=card, code=Markup(code.svg(card.clone_url))
    )
