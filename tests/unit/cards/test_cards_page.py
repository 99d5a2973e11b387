"""HTML pages, for printing and for learners: complete in themselves, whatever a name contains."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from typing_extensions import override

from sopslab.cards import code
from sopslab.cards.card import Card
from sopslab.cards.page import own_page, sheet

from .conftest import FINGERPRINT, OLD, TYPED

PLACE = "<!-- here -->"


def page(card: Card) -> str:
    return sheet("A class", [card])


def own(card: Card) -> str:
    return own_page(card, PLACE)


HOSTILE = [
    "<script>alert(1)</script>",
    "</title><img src=x onerror=alert(1)>",
    '" autofocus onfocus="alert(1)',
    "#{ card.access.password }#",
    "{{ 7 * 7 }} #% for x in y %#",
    "&lt;b&gt; & Söhne",
    "</style><base href=//evil.example>",
]


class Reader(HTMLParser):
    """What a browser makes of a page: its elements, and the text in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    @override
    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_says_everything_that_is_on_the_card(card: Callable[..., Card]) -> None:
    made = card(group="Table 3", ca=FINGERPRINT)
    said = "".join(Reader(page(made)).texts)
    parts = [
        "Ada Lovelace", "ada", "Table 3", "Lab lab", "ada-develop", made.clone_url,
        TYPED, FINGERPRINT, made.page,
    ]  # fmt: skip
    parts += [text for step in made.steps() for text in (step.title, step.text, *step.commands)]
    assert [part for part in parts if part not in said] == []


def test_without_a_group_and_a_ca_there_are_no_rows_for_them(
    card: Callable[..., Card],
) -> None:
    said = "".join(Reader(page(card())).texts)
    assert "Group" not in said
    assert "SHA-256" not in said


def test_how_a_password_may_be_typed_is_said_only_where_it_is_true(
    card: Callable[..., Card],
) -> None:
    assert "with or without hyphens" in page(card(password=TYPED))
    assert "with or without hyphens" not in page(card(password=OLD))


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_name_and_group_are_text(card: Callable[..., Card], text: str) -> None:
    plain = Reader(page(card(name="x" * len(text), group="x")))
    hostile = Reader(page(card(name=text, group=text)))
    assert [tag for tag, _ in hostile.elements] == [tag for tag, _ in plain.elements]
    assert [values for _, values in hostile.elements] == [values for _, values in plain.elements]
    assert hostile.texts.count(text) == 2


def test_a_password_is_escaped_too(card: Callable[..., Card]) -> None:
    assert "<b>&'\"" in Reader(page(card(password="<b>&'\""))).texts


def test_the_page_needs_no_other_file_and_runs_nothing(card: Callable[..., Card]) -> None:
    elements = Reader(page(card(ca=FINGERPRINT))).elements
    assert not {"script", "link", "img", "iframe", "object", "base"} & {tag for tag, _ in elements}
    assert not [values for _, values in elements if {"src", "href", "style"} & set(values)]
    policy = [values["content"] for _, values in elements if "http-equiv" in values]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_the_page_is_laid_out_for_paper(card: Callable[..., Card]) -> None:
    text = page(card())
    assert "@page { size: A4;" in text
    assert "@page { size: A4 landscape;" in sheet("A class", [card()], two_up=True)


def test_two_to_a_sheet_are_cut_apart_at_marks(card: Callable[..., Card]) -> None:
    made = [card(id=seat) for seat in ("ada", "bob", "eve")]
    elements = Reader(sheet("A class", made, two_up=True)).elements
    classes = [values.get("class") for tag, values in elements if tag in {"div", "article"}]
    found = [name for name in classes if name]
    marks = ["cut top", "cut bottom"]
    assert found == ["sheet", "card", "card", *marks, "sheet", "card", *marks]
    assert "cut" not in sheet("A class", made)


def test_a_learners_own_page_has_everything_but_the_password(card: Callable[..., Card]) -> None:
    made = card(ca=FINGERPRINT, settings={"git_bind": "192.0.2.10"})
    said = "".join(Reader(own(made)).texts)
    parts = [text for step in made.steps() for text in (step.title, step.text, *step.commands)]
    assert [part for part in ("Ada Lovelace", *parts) if part not in said] == []
    assert TYPED not in own(made)
    assert own(made).count(PLACE) == 1


@pytest.mark.parametrize("text", [*HOSTILE, PLACE])
def test_a_hostile_name_is_text_on_it_too(card: Callable[..., Card], text: str) -> None:
    plain, hostile = Reader(own(card())), Reader(own(card(name=text)))
    assert hostile.elements == plain.elements
    assert text in hostile.texts
    assert own(card(name=text)).count(PLACE) == 1


def test_it_runs_nothing_and_looks_again_by_itself(card: Callable[..., Card]) -> None:
    elements = Reader(own(card(ca=FINGERPRINT))).elements
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & {
        tag for tag, _ in elements
    }
    assert [values["href"] for tag, values in elements if tag == "a"] == [
        "/~/kubeconfig", "/~/ca.crt",
    ]  # fmt: skip
    refreshing = [values["content"] for _, values in elements if "http-equiv" in values]
    assert refreshing == ["10"]
    assert own(card()).count("<style>") == 1
    assert not [values for _, values in elements if "style" in values]


def test_the_code_is_of_the_address_and_of_nothing_else(card: Callable[..., Card]) -> None:
    text = page(card())
    assert code.svg("http://127.0.0.1:8418/~/") in text
    assert text.count("<svg") == 1
    assert "Ada" not in code.svg(card().page)
    others = page(card(password="another", username="other", name="Grace"))
    assert code.svg(card().page) in others


def test_the_same_card_gives_the_same_page(card: Callable[..., Card]) -> None:
    assert page(card()) == page(card())
