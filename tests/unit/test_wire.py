"""What the lab knows, as JSON between the programs of this project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopslab.model.wire import decode, encode


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Leaf:
    name: str
    size: int | None = None
    colour: Colour = Colour.RED


@dataclass(frozen=True)
class Tree:
    leaves: tuple[Leaf, ...] = ()
    marks: frozenset[str] = frozenset()
    by_name: Mapping[str, Leaf] = field(default_factory=dict)
    deep: dict[str, list[bool]] = field(default_factory=dict)
    best: Leaf | None = None
    way: Literal["up", "down"] = "up"
    free: Any = None


NAMES = st.text(max_size=5)
LEAVES = st.builds(Leaf, NAMES, st.none() | st.integers(), st.sampled_from(Colour))
TREES = st.builds(
    Tree,
    st.lists(LEAVES, max_size=3).map(tuple),
    st.frozensets(NAMES, max_size=3),
    st.dictionaries(NAMES, LEAVES, max_size=3),
    st.dictionaries(NAMES, st.lists(st.booleans(), max_size=2), max_size=2),
    st.none() | LEAVES,
    st.sampled_from(["up", "down"]),
    st.none() | st.integers() | NAMES,
)


@given(TREES)
def test_what_is_sent_arrives_as_it_was(tree: Tree) -> None:
    assert decode(Tree, json.loads(json.dumps(encode(tree)))) == tree


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Leaf, {"name": "a", "size": 1}),
        (Leaf, {"name": "a", "size": 1, "colour": "red", "more": 1}),
        (Leaf, {"name": 1, "size": 1, "colour": "red"}),
        (Leaf, {"name": "a", "size": "1", "colour": "red"}),
        (Leaf, {"name": "a", "size": True, "colour": "red"}),
        (Leaf, {"name": "a", "size": 1, "colour": "green"}),
        (Leaf, ["a"]),
        (dict[str, int], {"a": None}),
        (list[int], {"a": 1}),
        (tuple[str, ...], "text"),
        (None, 1),
        (Literal["a", "b"], "c"),
    ],
)
def test_what_is_of_another_kind_is_refused(kind: Any, data: Any) -> None:
    with pytest.raises(ValueError):
        decode(kind, data)


@pytest.mark.parametrize("value", [object(), b"bytes", {1: "a"}, {"a": {b"x"}}])
def test_what_has_no_place_in_json_is_not_sent(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)
