"""Patterns that others wrote: the answers of Go's regexp, and bounded time for every pattern.

The expected answers are those that Go 1.26 gave for the same patterns and texts.
"""

from __future__ import annotations

import time

import pytest

from sopslab.policy import regex


@pytest.fixture(autouse=True)
def nothing_is_known_yet() -> None:
    """Clear the caches, so that every test compiles and searches anew."""
    regex._compiled.cache_clear()
    regex._searched.cache_clear()


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
        ("(a*)*b", ["aab"], ["aa"]),
        ("a|b|c", ["a", "b", "c"], ["d"]),
        ("^(|a)b$", ["b", "ab"], ["aab"]),
        ("^ab*c+d?$", ["acd", "abbcc"], ["ad", "acdd"]),
        ("^(ab){2}$", ["abab"], ["ab", "ababab"]),
        ("^a{2,}$", ["aa", "aaaa"], ["a"]),
        ("^a{0,2}$", ["", "aa"], ["aaa"]),
        ("^a{1}?b??$", ["a", "ab"], ["aa"]),
        ("^a+?$", ["aa"], [""]),
        ("a{1,2,3}", ["a{1,2,3}"], ["a"]),
        ("a{1,x}", ["a{1,x}"], ["a"]),
        ("a{1", ["a{1"], ["a"]),
        ("a{12", ["a{12"], ["a"]),
        ("^{$", ["{"], [""]),
        ("^a{0,02}$", ["a{0,02}"], ["a"]),
        ("a{\u0661}", ["a{\u0661}"], ["a"]),
        ("^a{10}$", ["a" * 10], ["a", "a" * 9]),
        ("^*$", ["", "a"], []),
        ("((?i)a)b", ["Ab"], ["AB"]),
        ("(?i)a(?-i)b", ["Ab"], ["AB"]),
        ("(?i-s:a.)b", ["A-b"], ["A\nb", "A-B"]),
        ("(?s-i)A.", ["A\n"], ["a\n"]),
        ("(?i-i)a", ["a"], ["A"]),
        ("(?U)^a+$", ["aa"], ["b"]),
        ("(?im)^a$", ["b\nA"], ["b"]),
        ("(?)a", ["a"], ["b"]),
        ("(?:ab)+c", ["ababc"], ["c"]),
        ("a(?i)b|c", ["C"], ["A"]),
        ("(?i)[b-d]", ["C", "c"], ["A"]),
        ("(?i)[^b]", ["a"], ["b", "B"]),
        ("(?i)é", ["É"], ["e"]),
        ("(?i)[k]", ["\u212a"], ["j"]),
        ("(?i)s", ["S", "\u017f"], ["x"]),
        ("(?i)k", ["K", "\u212a"], ["x"]),
        ("(?i)\u01c5", ["\u01c5"], ["x"]),
        ("(?i)a(?s)b", ["AB"], ["A"]),
        ("(?i-s)a(?m-i)b", ["Ab"], ["AB"]),
        ("(?i)\u212a", ["k", "K"], ["j"]),
        ("(?m)a$", ["ba\nb"], ["ab"]),
        ("(?m)\\Ab", ["b"], ["a\nb"]),
        ("(?m)b\\z", ["b"], ["b\na"]),
        ("^b", ["ba"], ["a\nb"]),
        ("b$", ["ab"], ["b\n", "b\na"]),
        (r"a\Bb", ["ab"], ["a b"]),
        (r"\Ba", ["ba", "_a"], ["a", "-a"]),
        (r"\b", ["a", "-a", "a-"], ["", "-", "é"]),
        (r"^\B$", [""], ["a"]),
        (r"[^a-c]", ["d", "\n"], ["a", "b", "c"]),
        ("[a-c-e]", ["b", "-", "e"], ["d"]),
        ("[+--]", ["+", ",", "-"], ["."]),
        ("[a-]$", ["a", "-"], ["b"]),
        (r"[a\]b]", ["]", "b"], ["\\"]),
        (r"[\x61-\x{63}]", ["b"], ["d"]),
        (r"[a-\x63x]", ["c", "x"], ["d", "-"]),
        (r"[\d\pL-]", ["1", "é", "-"], ["_"]),
        (r"[\pL\pN]", ["é", "1"], ["-"]),
        (r"^}\x{41}$", ["}A"], ["A"]),
        (r"^}\p{Lu}a{2}$", ["}Aaa"], ["Aaa"]),
        (r"^\Q}\E\Q{\E$", ["}{"], ["}"]),
        (r"[[:digit:]_[:upper:]]", ["1", "_", "A"], ["a", ":"]),
        (r"[^\pL]", ["1"], ["é"]),
        (r"[^\PL1]", ["a"], ["-", "1"]),
        ("[[:word:]-]", ["a", "_", "-"], ["+"]),
        ("[[:^digit:]]", ["a"], ["1"]),
        ("[[:x]", ["[", ":", "x"], ["y"]),
        ("[^^]", ["a"], ["^"]),
        ("[[:alpha:][:digit:]]", ["a", "1"], ["-"]),
        ("[[:punct:]]", ["!", "/", ":", "@", "[", "`", "{", "~"], ["a", "0", " "]),
        ("[[:space:]]", ["\t", "\v", "\r", " "], ["a", "\b"]),
        ("[[:cntrl:]]", ["\0", "\x1f", "\x7f"], [" ", "~"]),
        ("[[:xdigit:]]", ["0", "F", "a"], ["g", "G"]),
        (r"\s", ["\t", "\n", "\f", "\r", " "], ["\v", "a"]),
        (r"\S", ["\v", "a"], ["\t", " "]),
        (r"\W", ["-", "é", "/", ":", "@", "[", "`", "{"], ["0", "9", "A", "Z", "_", "a", "z"]),
        (r"^\w{4}$", ["aZ_9"], ["a-b9"]),
        (r"\D", ["/", ":", "\0"], ["0", "9"]),
        (r"\p{^Lu}", ["a"], ["A"]),
        (r"\P{^Lu}", ["A"], ["a"]),
        (r"\P{Lu}", ["a"], ["A"]),
        (r"^\pNx$", ["1x"], ["1"]),
        (r"\p{Any}", ["a", "\0", "\U0010ffff"], [""]),
        (r"\P{Any}", [], ["a", "\0"]),
        (r"(?i)\p{Lu}", ["a", "A"], ["1"]),
        (r"^\a\f\n\r\t\v$", ["\a\f\n\r\t\v"], ["afnrtv"]),
        (r"\.\*\-\/", [".*-/"], ["..-/"]),
        (r"^\0$", ["\0"], ["0"]),
        (r"^\012$", ["\n"], ["\0" + "12"]),
        (r"^\1234$", ["S4"], ["\n4"]),
        (r"^\08$", ["\0" + "8"], ["\b"]),
        (r"^\12$", ["\n"], ["12"]),
        (r"^\x4a1$", ["J1"], ["j1"]),
        (r"^\x{1F600}$", ["\U0001f600"], ["\x1f"]),
        (r"^\x{10ffff}$", ["\U0010ffff"], ["a"]),
        (r"\Q[a", ["[a"], ["a"]),
        (r"(?i)\Qa.\Eb", ["A.B"], ["AxB"]),
        (r"^\Q\\E$", ["\\"], [""]),
        ("(?P<a>x)(?<a>y)", ["xy"], ["x"]),
        ("(?P<a_1>x)(?P<A>y)", ["xy"], ["x"]),
        ("a.", ["a\r", "a\U0001f600"], ["a"]),
        ("()", [""], []),
    ],
)
def test_matches_what_go_matches(pattern: str, matching: list[str], others: list[str]) -> None:
    assert [text for text in matching if not regex.search(pattern, text)] == []
    assert [text for text in others if regex.search(pattern, text)] == []


REFUSED = {
    "closes a group that was not opened": (")", "a)b", "(a))"),
    "does not close a group": ("(", "(a", "(?:a", "(?i:a|b"),
    "ends too early": (
        "[a",
        "[",
        "[]",
        "[^",
        "[^]",
        "[a-",
        "(?",
        "(?i",
        "\\",
        "[\\",
        r"\p",
        r"\x4",
    ),
    "repeats nothing, or a repetition": (
        *("a**", "a{2}{3}", "*", "|*", "a|*", "(+)", "a++", "a*??", "a{2}*", "?", "{1}", "(?i)*"),
        *(r"\Q\E*",),
    ),
    "repeats more than 1000 times, or less than no time": (
        *("a{1001}", "a{1001,}", "a{1,1001}", "a{3,2}", "(a{1000}){1001}"),
    ),
    "has a group of a kind that Go does not know": (
        *("(?=a)", "(?!a)", "(?#a)", "(?z)", "(?-)", "(?-:a)", "(?i-)", "(?i-:a)", "(?-i-s)"),
        *("(?Pa)", "(?P=a)", "(?P", "(?i x)"),
    ),
    "has a group whose name is not valid": (
        *("(?<=a)", "(?<!a>b)", "(?P<a b>x)", "(?P<>x)"),
        *("(?<>x)", "(?P<a", "(?<a", "(?P<é>x)"),
    ),
    "has an escape that Go does not know": (r"(a)\1", r"\Z", r"\h", r"\8", r"\18", r"\é", r"[\b]"),
    "has a range that ends before it begins": ("[b-a]", "[a--]", r"[b-\x61]"),
    "has a class of characters that Go does not know": ("[[:nope:]]", "[[:^nope:]]", "[[::]]"),
    "has a class of Unicode that is not closed": (r"\p{L", r"[\p{L]"),
    "has a class of Unicode that is not known here": (r"\pX", r"\p{}", r"\p{Latn}", r"\p{^^L}"),
    "has a hexadecimal escape that is not valid": (
        *(r"\x{110000}", r"\xg0", r"\x0g", r"\x{}", r"\x{g}", r"\x{41", r"\x{-1}", r"\x{ 1}"),
    ),
    "becomes too large when its repetitions are written out": (
        *("(a{1000}){1000}", "(a{1000}){5}", "(a|b{1000}){5}"),
    ),
    "is longer than 1000 characters": ("a" * 1001,),
}


@pytest.mark.parametrize("why", REFUSED)
def test_refuses_what_go_refuses_and_what_is_too_large(why: str) -> None:
    for pattern in REFUSED[why]:
        for refuse in (regex.check, lambda pattern: regex.search(pattern, "a")):
            with pytest.raises(regex.PatternError) as raised:
                refuse(pattern)
            assert (pattern, str(raised.value)) == (pattern, why)


@pytest.mark.parametrize(
    "pattern",
    [
        *("a" * 1000, "()" * 200, "a{1000}", "a{1000,}", "a{0,1000}"),
        # The end of a pattern is one instruction more.
        "(?:a{1000}){4}a{999}",
    ],
)
def test_takes_what_is_just_small_enough(pattern: str) -> None:
    regex.check(pattern)


@pytest.mark.parametrize("nothing", ["()", "(|){0}", "(?:a{0}){1}", r"\Q\E()"])
def test_a_repetition_of_nothing_costs_nothing_however_often_it_is_nested(nothing: str) -> None:
    # Go refuses it: its inner part would be repeated more than 1000 times.
    pattern = "^" + "(?:" * 20 + nothing + "){1000}" * 20 + "a$"
    assert regex.search(pattern, "a") and not regex.search(pattern, "aa")


def test_groups_are_nested_a_hundred_times() -> None:
    for group in ("(", "(?:"):
        regex.check(group * 100 + ")" * 100)
        with pytest.raises(regex.PatternError, match=r"^is nested too deeply$"):
            regex.check(group * 101 + ")" * 101)


def test_groups_beside_each_other_are_not_nested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regex, "MAX_DEPTH", 2)
    regex.check("((nested)(twice))(beside)(?i)")
    with pytest.raises(regex.PatternError, match=r"^is nested too deeply$"):
        regex.check("(((nested)))")


@pytest.mark.parametrize(
    "pattern", ["(?:a|b){333}", "(?:a*){499}a", "(?:a?){499}a", "(?:a+){333}", r"(?:\b){999}"]
)
def test_counts_every_instruction_of_a_pattern(pattern: str) -> None:
    whole = f"(?:a{{1000}}){{4}}{pattern}"
    regex.check(whole)
    with pytest.raises(regex.PatternError, match="too large"):
        regex.check(f"{whole}b")


@pytest.mark.parametrize(
    ("pattern", "text", "steps"),
    [
        ("xa", "", 1),
        ("xa", "bb", 3),
        # A thread begins at each of the three places, and one goes on after each x.
        ("xa", "xx", 5),
        ("ya|yb", "b", 6),
        (r"\Ayc", "b", 3),
    ],
)
def test_a_search_costs_what_it_tries(
    monkeypatch: pytest.MonkeyPatch, pattern: str, text: str, steps: int
) -> None:
    monkeypatch.setattr(regex, "MAX_STEPS", steps - 1)
    with pytest.raises(regex.PatternError, match="takes too long"):
        regex.search(pattern, text)
    monkeypatch.setattr(regex, "MAX_STEPS", steps)
    assert not regex.search(pattern, text)


def test_searches_within_a_budget_cost_together() -> None:
    for text in ("aa", "ab"):
        with regex.within(regex.Budget(6)):
            assert not regex.search("za", text)
            # A repeated search costs nothing.
            assert not regex.search("za", text)
            assert not regex.search("zb", text)
            with pytest.raises(regex.PatternError, match="takes too long"):
                regex.search("zc", text)
        assert not regex.search("zc", text)


def test_a_search_is_charged_to_every_budget_around_it() -> None:
    whole = regex.Budget(6)
    with regex.within(whole):
        for pattern in ("yd", "ye"):
            with regex.within(regex.Budget(3)):
                assert not regex.search(pattern, "ac")
        assert whole.left == 0
        with pytest.raises(regex.PatternError), regex.within(regex.Budget(3)):
            regex.search("yf", "ac")
    with pytest.raises(regex.PatternError), regex.within(whole):
        regex.search("yf", "ac")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(a*)*c", "(.*)(.*)(.*)(.*)(.*)x"])
def test_takes_linear_time_where_backtracking_takes_for_ever(pattern: str) -> None:
    started = time.process_time()
    assert not regex.search(pattern, "a" * 2000 + "!")
    assert time.process_time() - started < 2


def test_many_costly_searches_end_together() -> None:
    started = time.process_time()
    with regex.within(regex.Budget()), pytest.raises(regex.PatternError, match="too long"):
        for number in range(1000):
            regex.search(f"(.*){{1,9}}{number}!", "a" * 1000)
    assert time.process_time() - started < 20
