"""Match untrusted regular expressions as Go does (RE2), in time linear to the text.

Anybody can write the patterns in .sops.yaml, in the metadata of a file and in a kustomization. sops
and kustomize match them with Go's regexp; Python's `re` has another syntax, and never ends on some
patterns. Here a pattern becomes a nondeterministic automaton that is walked once (Thompson). So the
cost is the text's length times the pattern's size, and both are bounded. The Debian release of the
Git server's image has no package that does this.

Syntax: https://pkg.go.dev/regexp/syntax. Names of scripts in ``\\p{…}`` are not known here.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import lru_cache

MAX_PATTERN = 1000
"""Characters."""
MAX_PROGRAM = 5000
"""Instructions, once all repetitions are written out."""
MAX_REPEAT = 1000
"""As in Go."""
MAX_DEPTH = 100
MAX_STEPS = 500_000
"""Instructions for one search: less than a second."""
RUN_STEPS = 5_000_000
"""Instructions for all searches of a run that count together."""


@dataclass
class Budget:
    """How many instructions searches may still take, however many patterns there are."""

    left: int = RUN_STEPS


_budgets: ContextVar[tuple[Budget, ...]] = ContextVar("budgets", default=())
_LAST = 0x10FFFF


class PatternError(Exception):
    """The pattern is not valid in Go, or costs too much; the text is a sentence without subject."""


@contextmanager
def within(budget: Budget) -> Iterator[None]:
    """Charge a budget for all searches in the block, besides those of blocks around it."""
    token = _budgets.set((*_budgets.get(), budget))
    try:
        yield
    finally:
        _budgets.reset(token)


def search(pattern: str, text: str) -> bool:
    """Return whether *pattern* matches somewhere in *text*, as Go's ``MatchString``.

    Raises PatternError for a pattern that Go refuses, or a search beyond the bounds.
    """
    return _searched(pattern, text)


@lru_cache(maxsize=1024)
def _searched(pattern: str, text: str) -> bool:
    return _compiled(pattern).search(text)


def check(pattern: str) -> None:
    """Raise PatternError unless *pattern* is valid."""
    _compiled(pattern)


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> _Program:
    if len(pattern) > MAX_PATTERN:
        raise PatternError(f"is longer than {MAX_PATTERN} characters")
    return _Program(_Parser(pattern).parse())


Ranges = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class _Chars:
    """A set of characters: sorted ranges, and general categories of Unicode."""

    ranges: Ranges
    categories: tuple[tuple[str, bool], ...] = ()
    negated: bool = False
    fold: bool = False
    starts: tuple[int, ...] = field(default=(), compare=False)

    def has(self, char: str) -> bool:
        found = any(self._holds(one) for one in (_orbit(char) if self.fold else (char,)))
        return found != self.negated

    def _holds(self, char: str) -> bool:
        code = ord(char)
        place = bisect_right(self.starts, code) - 1
        if place >= 0 and code <= self.ranges[place][1]:
            return True
        return any(
            unicodedata.category(char).startswith(name) != negated
            for name, negated in self.categories
        )


@dataclass(frozen=True)
class _Look:
    """An assertion that takes no character: ^ $ \\A \\z \\b \\B."""

    kind: str


@dataclass(frozen=True)
class _Repeat:
    inner: _Node
    least: int
    most: int | None


@dataclass(frozen=True)
class _Sequence:
    parts: tuple[_Node, ...]


@dataclass(frozen=True)
class _Either:
    branches: tuple[_Node, ...]


_Node = _Chars | _Look | _Repeat | _Sequence | _Either


def _orbit(char: str) -> tuple[str, ...]:
    """Return *char* and all that equal it if case is ignored, also the Kelvin sign and long s."""
    found = {char}
    for one in (char.lower(), char.upper()):
        if len(one) == 1:
            found |= {one, *(two for two in (one.lower(), one.upper()) if len(two) == 1)}
    for folded in ("K\u212a", "S\u017f"):
        if found & set(folded):
            found |= set(folded)
    return tuple(found)


def _chars(
    ranges: list[tuple[int, int]],
    categories: tuple[tuple[str, bool], ...] = (),
    *,
    negated: bool = False,
    fold: bool = False,
) -> _Chars:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    starts = tuple(low for low, _ in merged)
    return _Chars(tuple(merged), categories, negated, fold, starts)


def _complement(ranges: list[tuple[int, int]]) -> list[tuple[int, int]]:
    found, begin = [], 0
    for low, high in sorted(ranges):
        if low > begin:
            found.append((begin, low - 1))
        begin = high + 1
    return [*found, (begin, _LAST)]


def _spans(*texts: str) -> list[tuple[int, int]]:
    """Return ranges from texts of one character, or of two: first and last."""
    return [(ord(text[0]), ord(text[-1])) for text in texts]


_PERL = {
    "d": _spans("09"),
    "s": _spans("\t", "\n", "\f", "\r", " "),
    "w": _spans("09", "AZ", "_", "az"),
}
_POSIX = {
    "alnum": _spans("09", "AZ", "az"),
    "alpha": _spans("AZ", "az"),
    "ascii": _spans("\0\x7f"),
    "blank": _spans("\t", " "),
    "cntrl": _spans("\0\x1f", "\x7f"),
    "digit": _spans("09"),
    "graph": _spans("!~"),
    "lower": _spans("az"),
    "print": _spans(" ~"),
    "punct": _spans("!/", ":@", "[`", "{~"),
    "space": _spans("\t\r", " "),
    "upper": _spans("AZ"),
    "word": _spans("09", "AZ", "_", "az"),
    "xdigit": _spans("09", "AF", "af"),
}
_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CATEGORIES = {
    *("C", "Cc", "Cf", "Co", "Cs", "L", "Ll", "Lm", "Lo", "Lt", "Lu", "M", "Mc", "Me", "Mn", "N"),
    *("Nd", "Nl", "No", "P", "Pc", "Pd", "Pe", "Pf", "Pi", "Po", "Ps", "S", "Sc", "Sk", "Sm", "So"),
    *("Z", "Zl", "Zp", "Zs"),
}
_ANY = [(0, _LAST)]
_OCTAL = "01234567"
_HEX = "0123456789abcdefABCDEF"


class _Parser:
    """Reads one pattern, from left to right."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._flags: frozenset[str] = frozenset()
        self._depth = 0

    def parse(self) -> _Node:
        node = self._either()
        if self._at < len(self._text):
            raise PatternError("closes a group that was not opened")
        return node

    def _peek(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _take(self, count: int = 1) -> str:
        taken = self._peek(count)
        if len(taken) < count:
            raise PatternError("ends too early")
        self._at += count
        return taken

    def _either(self) -> _Node:
        branches = [self._sequence()]
        while self._peek() == "|":
            self._take()
            branches.append(self._sequence())
        return branches[0] if len(branches) == 1 else _Either(tuple(branches))

    def _sequence(self) -> _Node:
        parts: list[_Node] = []
        repeated = False
        while (char := self._peek()) and char not in "|)":
            bounds = self._bounds()
            if bounds is None:
                parts += self._atoms()
                repeated = False
                continue
            if not parts or repeated:
                raise PatternError("repeats nothing, or a repetition")
            parts[-1] = _Repeat(parts[-1], *bounds)
            repeated = True
        return _Sequence(tuple(parts))

    def _bounds(self) -> tuple[int, int | None] | None:
        """Take a repetition operator, if one is next."""
        found: tuple[int, int | None] | None = {"*": (0, None), "+": (1, None), "?": (0, 1)}.get(
            self._peek()
        )
        if found is not None:
            self._take()
        elif self._peek() == "{":
            found = self._counted()
        if found is not None and self._peek() == "?":
            self._take()
        return found

    def _counted(self) -> tuple[int, int | None] | None:
        """Take ``{n}``, ``{n,}`` or ``{n,m}``; any other brace is a character."""
        end = self._text.find("}", self._at)
        low, comma, high = self._text[self._at + 1 : end if end > 0 else self._at].partition(",")
        if not _is_number(low) or (high and not _is_number(high)):
            return None
        least = int(low)
        most = (int(high) if high else None) if comma else least
        if least > MAX_REPEAT or (most is not None and not least <= most <= MAX_REPEAT):
            raise PatternError(f"repeats more than {MAX_REPEAT} times, or less than no time")
        self._at = end + 1
        return least, most

    def _atoms(self) -> list[_Node]:
        """Take the next character, class, group or assertion; return nothing for flags alone."""
        char = self._take()
        if char == "(":
            return self._group()
        if char == "[":
            return [self._class()]
        if char == ".":
            return [_chars(_ANY if "s" in self._flags else _complement(_spans("\n")))]
        if char == "^":
            return [_Look("line start" if "m" in self._flags else "start")]
        if char == "$":
            return [_Look("line end" if "m" in self._flags else "end")]
        if char == "\\":
            return self._escaped()
        return [self._literal(ord(char))]

    def _literal(self, code: int) -> _Chars:
        return _chars([(code, code)], fold="i" in self._flags)

    def _group(self) -> list[_Node]:
        outer = self._flags
        if self._peek() == "?":
            self._take()
            if self._peek(2) == "P<":
                self._take(2)
                self._name()
            elif self._peek() == "<":
                self._take()
                self._name()
            elif not self._flags_open_group():
                return []
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise PatternError("is nested too deeply")
        inner = self._either()
        if self._peek() != ")":
            raise PatternError("does not close a group")
        self._take()
        self._depth -= 1
        self._flags = outer
        return [inner]

    def _name(self) -> None:
        end = self._text.find(">", self._at)
        name = self._text[self._at : end] if end >= 0 else ""
        if not name or not all(map(_is_word, name)):
            raise PatternError("has a group whose name is not valid")
        self._at = end + 1

    def _flags_open_group(self) -> bool:
        """Take flags; return True if a group follows, False if they hold until this group ends."""
        on, negative, some = set(self._flags), False, False
        while True:
            char = self._take()
            if char in "imsU":
                some = True
                (on.discard if negative else on.add)(char)
            elif char == "-" and not negative:
                negative, some = True, False
            elif char in ":)" and (some or not negative):
                self._flags = frozenset(on)
                return char == ":"
            else:
                raise PatternError("has a group of a kind that Go does not know")

    def _escaped(self) -> list[_Node]:
        char = self._peek()
        if char == "Q":
            self._take()
            end = self._text.find("\\E", self._at)
            quoted = self._text[self._at : end if end >= 0 else len(self._text)]
            self._at = end + 2 if end >= 0 else len(self._text)
            return [self._literal(ord(one)) for one in quoted]
        looks = {"A": "start", "z": "end", "b": "word", "B": "no word"}
        if char and char in looks:
            self._take()
            return [_Look(looks[char])]
        known = self._known_class()
        if known is not None:
            ranges, categories = known
            return [_chars(ranges, categories, fold="i" in self._flags)]
        return [self._literal(self._code())]

    def _known_class(self) -> tuple[list[tuple[int, int]], tuple[tuple[str, bool], ...]] | None:
        """Take the rest of ``\\d``, ``\\pL`` and the like, if that is what follows a backslash."""
        char = self._peek()
        if char and char.lower() in _PERL:
            self._take()
            ranges = _PERL[char.lower()]
            return (_complement(ranges) if char.isupper() else ranges), ()
        if not char or char not in "pP":
            return None
        self._take()
        name = self._take()
        if name == "{":
            end = self._text.find("}", self._at)
            if end < 0:
                raise PatternError("has a class of Unicode that is not closed")
            name = self._text[self._at : end]
            self._at = end + 1
        negated = name.startswith("^") != (char == "P")
        name = name.removeprefix("^")
        if name == "Any":
            return ([] if negated else _ANY), ()
        if name not in _CATEGORIES:
            raise PatternError("has a class of Unicode that is not known here")
        return [], ((name, negated),)

    def _code(self) -> int:
        """Take the rest of an escaped character and return it."""
        char = self._take()
        if char in _CONTROLS:
            return ord(_CONTROLS[char])
        if char.isascii() and not char.isalnum():
            return ord(char)
        if char == "x":
            return self._hex()
        if char in _OCTAL and (char == "0" or self._peek() in tuple(_OCTAL)):
            while len(char) < 3 and self._peek() and self._peek() in _OCTAL:
                char += self._take()
            return int(char, 8)
        raise PatternError("has an escape that Go does not know")

    def _hex(self) -> int:
        if self._peek() == "{":
            end = self._text.find("}", self._at)
            digits = self._text[self._at + 1 : max(end, self._at)]
            self._at = end + 1
        else:
            digits = self._take(2)
        if not digits or any(digit not in _HEX for digit in digits) or int(digits, 16) > _LAST:
            raise PatternError("has a hexadecimal escape that is not valid")
        return int(digits, 16)

    def _class(self) -> _Chars:
        negated = self._peek() == "^"
        if negated:
            self._take()
        ranges: list[tuple[int, int]] = []
        categories: tuple[tuple[str, bool], ...] = ()
        first = True
        while first or self._peek() != "]":
            first = False
            if self._peek(2) == "[:" and (end := self._text.find(":]", self._at + 2)) >= 0:
                ranges += self._posix(self._text[self._at + 2 : end])
                self._at = end + 2
                continue
            if self._peek() == "\\":
                self._take()
                known = self._known_class()
                if known is not None:
                    ranges += known[0]
                    categories += known[1]
                    continue
                low = self._code()
            else:
                low = ord(self._take())
            high = low
            if self._peek() == "-" and self._peek(2) != "-]":
                self._take()
                char = self._take()
                high = self._code() if char == "\\" else ord(char)
            if high < low:
                raise PatternError("has a range that ends before it begins")
            ranges.append((low, high))
        self._take()
        return _chars(ranges, categories, negated=negated, fold="i" in self._flags)

    def _posix(self, name: str) -> list[tuple[int, int]]:
        ranges = _POSIX.get(name.removeprefix("^"))
        if ranges is None:
            raise PatternError("has a class of characters that Go does not know")
        return _complement(ranges) if name.startswith("^") else ranges


def _is_number(text: str) -> bool:
    # In Go, too, a count with a leading zero is literal text.
    return text.isascii() and text.isdigit() and (text == "0" or text[0] != "0")


@dataclass(frozen=True)
class _Fork:
    ways: tuple[int, ...]


class _Program:
    """The automaton of a pattern: what is tried at each place, and where it leads."""

    def __init__(self, node: _Node) -> None:
        self._code: list[tuple[_Chars | _Look | _Fork | None, int]] = [(None, 0)]
        self._start = self._emit(node, 0)

    def _add(self, what: _Chars | _Look | _Fork, then: int = 0) -> int:
        if len(self._code) >= MAX_PROGRAM:
            raise PatternError("becomes too large when its repetitions are written out")
        self._code.append((what, then))
        return len(self._code) - 1

    def _emit(self, node: _Node, then: int) -> int:
        """Add the instructions of *node*, last first, and return its beginning; *then* follows."""
        if isinstance(node, _Chars | _Look):
            return self._add(node, then)
        if isinstance(node, _Sequence):
            for part in reversed(node.parts):
                then = self._emit(part, then)
            return then
        if isinstance(node, _Either):
            return self._add(_Fork(tuple(self._emit(one, then) for one in node.branches)))
        if node.most is None:
            loop = self._add(_Fork(()))
            self._code[loop] = (_Fork((self._emit(node.inner, loop), then)), 0)
            then = loop
        else:
            after = then
            for _ in range(node.most - node.least):
                then = self._add(_Fork((self._emit(node.inner, then), after)))
        for _ in range(node.least):
            after, then = then, self._emit(node.inner, then)
            if then == after:
                # It takes nothing, however often: nested a few times, that would have no end.
                break
        return then

    def search(self, text: str) -> bool:
        """Return whether the pattern matches somewhere in *text*."""
        steps = 0
        budgets = _budgets.get()
        current: set[int] = set()
        for place in range(len(text) + 1):
            awaited, tried = self._reached([*current, self._start], text, place)
            if awaited is None:
                return True
            steps += tried
            for budget in budgets:
                budget.left -= tried
            if steps > MAX_STEPS or any(budget.left < 0 for budget in budgets):
                raise PatternError("takes too long")
            if place < len(text):
                current = {then for chars, then in awaited if chars.has(text[place])}
        return False

    def _reached(
        self, stack: list[int], text: str, place: int
    ) -> tuple[list[tuple[_Chars, int]] | None, int]:
        """Return the characters that may come next at *place* (None: it matched), and the cost."""
        seen: set[int] = set()
        awaited: list[tuple[_Chars, int]] = []
        tried = 0
        while stack:
            number = stack.pop()
            tried += 1
            if number in seen:
                continue
            seen.add(number)
            what, then = self._code[number]
            if what is None:
                return None, tried
            if isinstance(what, _Chars):
                awaited.append((what, then))
            elif isinstance(what, _Fork):
                stack += what.ways
            elif _holds(what.kind, text, place):
                stack.append(then)
        return awaited, tried


def _holds(kind: str, text: str, place: int) -> bool:
    if kind == "start":
        return place == 0
    if kind == "end":
        return place == len(text)
    if kind == "line start":
        return place == 0 or text[place - 1] == "\n"
    if kind == "line end":
        return place == len(text) or text[place] == "\n"
    before = place > 0 and _is_word(text[place - 1])
    after = place < len(text) and _is_word(text[place])
    return (before != after) == (kind == "word")


def _is_word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char == "_")
