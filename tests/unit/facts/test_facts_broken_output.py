"""Whatever a tool prints, a fact returns a value or raises FactProcessError. Any other exception
would end the run of every host with a traceback."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

import pytest
from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError

import sopslab.provision.facts

FACTS = sorted(
    {
        fact
        for info in pkgutil.iter_modules(sopslab.provision.facts.__path__)
        for fact in vars(importlib.import_module(f"sopslab.provision.facts.{info.name}")).values()
        if inspect.isclass(fact)
        and issubclass(fact, FactBase)
        and fact.__module__.startswith("sopslab.provision.facts.")
        and not fact.__name__.startswith("_")
    },
    key=lambda fact: f"{fact.__module__}.{fact.__name__}",
)

GARBAGE = {
    "words": ["Cannot connect to the Docker daemon"],
    "blank": [""],
    "blanks": ["", "  ", "\t"],
    "half an object": ['{"id": "a", '],
    "empty object": ["{}"],
    "empty list": ["[]"],
    "list": ["[1, 2]"],
    "list of lists": ["[[]]"],
    "null": ["null"],
    "nulls": ["[null]"],
    "number": ["7"],
    "text": ['"text"'],
    "object": ['{"a": 1}'],
    "node without networks": ['{"network":"n"}', '{"id":"a","status":"running"}'],
    "node with odd networks": ['{"network":"n"}', '{"id":"a","status":"running","networks":7}'],
    "node alone": ['{"id":"a","status":"running","networks":{}}'],
    "equals signs": ["=", "a=b", "8418=", "=lab-git", "x=y=z"],
    "numbers that are none": ["uid=root", "cpus=", "8418x=lab-git"],
    "colons": [":", "a:b", "store/x/manifest.json:{"],
    "tabs": ["\t\t", "arch\tpdp11", "file\tx\t", "link\ta"],
    "escape sequences": ["\x1b[31mred\x1b[0m"],
    "nul": ["\x00"],
    "very long": ["x" * 100_000],
    "deep": ["[" * 20_000],
    "many digits": ["8" * 5_000 + "=a"],
}


def test_every_fact_is_looked_at() -> None:
    assert FACTS


@pytest.mark.parametrize("fact", FACTS, ids=lambda fact: f"{fact.__module__[14:]}.{fact.__name__}")
def test_a_broken_output_is_no_traceback(fact: type[FactBase[object]]) -> None:
    surprises = {}
    for case, output in GARBAGE.items():
        try:
            fact().process(list(output))
        except FactProcessError:
            continue
        except Exception as error:
            surprises[case] = repr(error)[:200]
    assert surprises == {}
