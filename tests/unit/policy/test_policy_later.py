"""Expressions of the policy that are compiled on first use."""

from __future__ import annotations

import gc
import importlib
import pkgutil
import re
import subprocess
import sys

import pytest

import sopslab.policy
from sopslab.policy.later import Later, later

UNUSED = """
import gc
from sopslab.policy import engine
from sopslab.policy.later import Later

print([vars(one) for one in gc.get_objects() if type(one) is Later and len(vars(one)) > 2])
"""


def test_every_expression_of_the_policy_can_be_compiled() -> None:
    for module in pkgutil.iter_modules(sopslab.policy.__path__, "sopslab.policy."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    found = [one for one in gc.get_objects() if type(one) is Later]
    assert len(found) > 150
    for one in found:
        assert isinstance(re.compile(one._pattern, one._flags), re.Pattern)


def test_none_is_compiled_before_something_is_judged() -> None:
    done = subprocess.run(
        [sys.executable, "-c", UNUSED], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("text", ["Ab12", "ab", ""])
def test_it_finds_what_a_compiled_one_finds(text: str) -> None:
    pattern, flags = r"(?P<letters>[a-z]+)(\d*)", re.IGNORECASE
    compiled = re.compile(pattern, flags)
    for found, known in ((one := later(pattern, flags), compiled), (one, compiled)):
        assert bool(found.search(text)) == bool(known.search(text))
        assert found.sub("-", text) == known.sub("-", text)
        assert found.findall(text) == known.findall(text)
        assert found.pattern == known.pattern
    assert later(rb"\d").search(b"a1") is not None


def test_a_wrong_one_fails_whenever_it_is_used() -> None:
    wrong = later("(")
    for _ in range(2):
        with pytest.raises(re.error):
            wrong.search("text")
