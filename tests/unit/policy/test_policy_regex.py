"""Patterns of others: the answers of Go's regexp, and bounded time for whatever is asked.

The expected answers are those that Go 1.26 gave for the same patterns and texts.
"""

from __future__ import annotations

import time

import pytest

from sopslab.policy import regex


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("", ["", "a"], []),
        (r"flux/secrets/.*\.ya?ml$", ["flux/secrets/develop/a.yaml"], ["flux/secrets/a.yaml~"]),
        ("^(data|stringData)$", ["data", "stringData"], ["metadata", "stringdata", "data\n"]),
        ("(?i)secret", ["SeCrEt", "\u017fecret"], ["secre"]),
        ("a(?i)b", ["aB"], ["AB"]),
        ("(?i:k)k", ["Kk", "\u212ak"], ["kK"]),
        ("(?m)^b$", ["a\nb\nc"], ["ab"]),
        ("a.b", ["a-b"], ["a\nb"]),
        ("(?s)a.b", ["a\nb"], ["ab"]),
        (r"\bdata\b", ["my data"], ["mydata", "data_"]),
        (r"\Aa\z", ["a"], ["a\n"]),
        ("a{2,3}b", ["aab"], ["ab", "aba"]),
        ("a{,2}", ["a{,2}"], ["aa"]),
        ("a{02}", ["a{02}"], ["aa"]),
        ("^a{0}$", [""], ["a"]),
        ("(a|b)*?c", ["ababc"], ["abab"]),
        ("x||y", ["", "z"], []),
        ("[]a-]", ["]", "-"], ["b"]),
        ("[^[:alpha:]]", ["1"], ["a"]),
        (r"[\d_]{3}", ["1_2"], ["12"]),
        (r"[^\D]", ["7"], ["a"]),
        (r"\p{Lu}", ["É"], ["é"]),
        (r"\PL", ["1"], ["a"]),
        (r"\Qa.b\E+", ["a.bb"], ["aab"]),
        (r"\x41\x{42}\101", ["ABA"], ["AB"]),
        ("(?P<a>x)(?<b>y)", ["xy"], ["x"]),
        ("(?P<a>x)(?<a>y)", ["xy"], ["x"]),
        ("(a*)*b", ["aab"], ["aa"]),
    ],
)
def test_matches_what_go_matches(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [text for text in matching if not regex.search(pattern, text)] == []
    assert [text for text in others if regex.search(pattern, text)] == []


@pytest.mark.parametrize(
    "pattern",
    [
        *("(", ")", "[a", "a**", "a{2}{3}", "*", "|*", "(?=a)", "(?!a)", "(?<=a)", r"(a)\1"),
        *(r"\Z", r"\h", "[b-a]", "[[:nope:]]", "a{1001}", "a{3,2}", "(?z)", "(?-)", "(?P<a b>x)"),
        *(r"\x{110000}", r"\xg", "\\", r"\pX", "a++", "(a{1000}){1000}"),
        *("(" * 101 + ")" * 101, "a" * 1001),
    ],
)
def test_refuses_what_go_refuses_and_what_is_too_large(pattern: str) -> None:
    with pytest.raises(regex.PatternError):
        regex.check(pattern)


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*c", "(.*)(.*)(.*)(.*)(.*)x"])
def test_takes_linear_time_where_backtracking_takes_for_ever(pattern: str) -> None:
    started = time.process_time()
    assert not regex.search(pattern, "a" * 2000 + "!")
    assert time.process_time() - started < 2


def test_many_costly_searches_end_together() -> None:
    started = time.process_time()
    with regex.budget(), pytest.raises(regex.PatternError, match="too long"):
        for number in range(1000):
            regex.search(f"(.*){{1,9}}{number}!", "a" * 1000)
    assert time.process_time() - started < 20
