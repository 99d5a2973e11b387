"""A card as a page of HTML that needs nothing else: no script, no font, no network."""

from __future__ import annotations

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from sopslab.cards import code
from sopslab.cards.card import Card
from sopslab.layout import TEMPLATES

# The delimiters of every template here. Escaping is on, unlike in `sopslab.render`: names come from
# a roster, and a page is opened in a browser.
_ENVIRONMENT = Environment(
    variable_start_string="#{",
    variable_end_string="}#",
    block_start_string="#%",
    block_end_string="%#",
    comment_start_string="#|",
    comment_end_string="|#",
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    undefined=StrictUndefined,
    autoescape=True,
    loader=FileSystemLoader(TEMPLATES / "cards"),
)


def page(card: Card) -> str:
    """Return the page of a card; the same card gives the same page."""
    # The code is drawn from our own numbers, and holds nothing that would have to be escaped.
    return _ENVIRONMENT.get_template("card.html.j2").render(
        card=card, code=Markup(code.svg(card.clone_url))
    )
