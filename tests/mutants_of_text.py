"""Mutants of texts that tests do not import as modules: shell, the hook in Python, and policies in
CEL.

Each function returns the texts that differ from the given text in one thing, which a test should
notice. The texts are templates, whose marks for values stay as they are.
"""

from __future__ import annotations

import ast
import copy
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import yaml


class Change(NamedTuple):
    """A change of a text: where it is, the old words, the new words, and the whole new text."""

    where: str
    before: str
    after: str
    text: str


Rules = tuple[tuple[str, Callable[[re.Match[str]], str]], ...]
"""Patterns, each with the function that returns what takes the place of a match."""


def _to(word: str) -> Callable[[re.Match[str]], str]:
    return lambda found: found.expand(word)


def _one_more(found: re.Match[str]) -> str:
    return str(int(found[0]) + 1)


def replaced(text: str, rules: Rules) -> Iterator[str]:
    """Yield the text once for each place where a rule applies, changed only at that place."""
    for pattern, change in rules:
        for found in re.finditer(pattern, text):
            yield text[: found.start()] + change(found) + text[found.end() :]


# Shell

_SHELL: Rules = (
    (r"&&", _to("||")),
    (r"(?<=\s)\|\|(?=\s)", _to("&&")),
    (r"(?<=\s)=(?=\s)", _to("!=")),
    (r"(?<=\s)!=(?=\s)", _to("=")),
    (r"\[!", _to("[")),
    (r"(?<=\bexit )0", _to("1")),
    (r"(?<=\bexit )[1-9]\d*", _to("0")),
    # The part that an expansion cuts off: now from the other end, or the shortest one.
    (r"(?<=\$\{)(\w+)##?", _to(r"\1%")),
    (r"(?<=\$\{)(\w+)%%?", _to(r"\1#")),
    (r"(?<=\$\{)(\w+)(##|%%)", lambda found: found[1] + found[2][0]),
)
_ALTERNATIVES = re.compile(r"[^\s();]+(?: \| [^\s();]+)+\)")
"""The alternatives of one branch of a `case`."""
_VALUE = re.compile(r"#\{ (\w+) \}#")
_ENDS = ("}", "esac", "fi", "done", ";;")


def of_shell(text: str) -> list[Change]:
    """Return the changes of a script: without a command, without an alternative of a `case`, or
    with another condition."""
    lines = text.splitlines(keepends=True)
    found = []
    for number, line in enumerate(lines):
        if re.match(r"\s*(#(?!\{ )|$)", line):
            continue
        if (length := _statement(lines, number)) is not None:
            gone = "".join(lines[:number] + lines[number + length :])
            found.append(Change("script", line.strip(), "", gone))
        plain = _VALUE.sub(lambda value: "_" * len(value[0]), line)
        for other in [*replaced(line, _SHELL), *_fewer_alternatives(line, plain)]:
            new = "".join([*lines[:number], other, *lines[number + 1 :]])
            if _is_script(new):
                found.append(Change("script", line.strip(), other.strip(), new))
    return found


def _statement(lines: list[str], first: int) -> int | None:
    """Return the smallest number of lines, from `first` on, that can be left out of a script; None
    if it would never be a script again."""
    if lines[first].strip() in _ENDS:
        return None
    for length in range(1, len(lines) - first + 1):
        if _is_script("".join(lines[:first] + lines[first + length :])):
            return length
    return None


def _fewer_alternatives(line: str, plain: str) -> Iterator[str]:
    """Yield the line without one of the alternatives of a `case`.

    + plain: the line with the marks for values masked
    """
    for found in _ALTERNATIVES.finditer(plain):
        start, end = found.start(), found.end() - 1
        parts = line[start:end].split(" | ")
        for part in range(len(parts)):
            yield line[:start] + " | ".join(parts[:part] + parts[part + 1 :]) + line[end:]


def _is_script(text: str) -> bool:
    script = _VALUE.sub(r"\1", text)
    return not subprocess.run(["sh", "-n"], input=script, text=True, capture_output=True).returncode


# Python

Mutate = Callable[[str], tuple[str, Mapping[str, tuple[int, int]]]]


def of_python(text: str, mutate: Mutate) -> list[Change]:
    """Return the changes that mutmut makes of a program's functions.

    + mutate: returns the code with all mutants, and the first and last line of each mutant
    """
    code, spans = mutate(text)
    made, lines = code.splitlines(), text.splitlines()
    functions = {
        node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)
    }
    found = []
    for mutant, (first, last) in spans.items():
        name, _, number = mutant.removeprefix("x_").rpartition("__mutmut_")
        if not number.isdigit():
            continue
        node = functions[name]
        old = lines[node.lineno - 1 : node.end_lineno]
        new = [line.replace(mutant, name) for line in made[first - 1 : last]]
        while not new[0]:
            new = new[1:]
        before, after = difference(old, new)
        whole = [*lines[: node.lineno - 1], *new, *lines[node.end_lineno :]]
        found.append(Change(name, before, after, "\n".join(whole) + "\n"))
    return found


def difference(old: list[str], new: list[str]) -> tuple[str, str]:
    """Return the lines in which two texts differ, without the equal lines before and after."""
    old, new = [line.strip() for line in old], [line.strip() for line in new]
    first, last = 0, 0
    least = min(len(old), len(new))
    while first < least and old[first] == new[first]:
        first += 1
    while last < least - first and old[-1 - last] == new[-1 - last]:
        last += 1
    return " ".join(old[first : len(old) - last]), " ".join(new[first : len(new) - last])


# Admission

_CEL: Rules = (
    (r"&&", _to("||")),
    (r"\|\|", _to("&&")),
    (r"==", _to("!=")),
    (r"!=", _to("==")),
    (r"<=", _to("<")),
    (r">=", _to(">")),
    (r"!(?!=)", _to("")),
    (r"\.all\(", _to(".exists(")),
    (r"\.exists\(", _to(".all(")),
    (r"(?<![\w.!])([\w.]+\.(?:startsWith|endsWith)\()", _to(r"!\1")),
    (r"'([^']*)'", _to(r"'XX\1XX'")),
    (r"(?<![\w'])\d+(?![\w'])", _one_more),
)
_AMONG = re.compile(r"(?<=\bin \[)[^\]]+(?=\])")


def of_expression(text: str) -> list[str]:
    """Return the changes of an expression in CEL, each with another operator, with another word, or
    without one entry of a list."""
    found = list(replaced(text, _CEL))
    for among in _AMONG.finditer(text):
        words = re.split(r",\s*", among[0])
        for number in range(len(words)):
            fewer = ", ".join(words[:number] + words[number + 1 :])
            found.append(text[: among.start()] + fewer + text[among.end() :])
    return found


_KEYS = {"failurePolicy", "namespaceSelector", "objectSelector", "scope", "validationActions"}
_ENTRIES = {"matchConditions", "resourceRules", "validations", "variables"}
"""The lists that may become empty. In other lists, one entry has to stay."""


def of_policies(text: str) -> list[Change]:
    """Return the changes of admission policies: without something, or with another expression."""
    documents = list(yaml.safe_load_all(text))
    found = []
    for number, document in enumerate(documents):
        kind = document["kind"].removeprefix("ValidatingAdmission")
        name = f"{kind} {document['metadata']['name']}"
        rest = documents[:number] + documents[number + 1 :]
        found.append(Change(name, "all of it", "", _dumped(rest)))
        for path, value in _nodes(document["spec"]):
            where = f"{name}: {'.'.join(key for key in path if isinstance(key, str))}"
            if _may_go(document["spec"], path):
                less = _with(documents, number, path, None)
                found.append(Change(where, _shown(value), "", less))
            for other in of_expression(value) if path[-1] == "expression" else ():
                new = _with(documents, number, path, other)
                found.append(Change(where, value, other, new))
    return found


Way = tuple[str | int, ...]


def _nodes(value: Any, path: Way = ()) -> Iterator[tuple[Way, Any]]:
    """Yield every value in a document, with the path of keys and indices that leads to it."""
    items = enumerate(value) if isinstance(value, list) else value.items()
    for key, inner in items:
        yield (*path, key), inner
        if isinstance(inner, list | dict):
            yield from _nodes(inner, (*path, key))


def _parent(spec: Any, path: Way) -> Any:
    for key in path[:-1]:
        spec = spec[key]
    return spec


def _may_go(spec: Any, path: Way) -> bool:
    """Return whether a policy or a binding stays valid without the value at a path."""
    parent = _parent(spec, path)
    if isinstance(parent, list):
        return path[-2] in _ENTRIES or len(parent) > 1
    return path[-1] in _KEYS


def _with(documents: list[Any], number: int, path: Way, value: str | None) -> str:
    """Return the documents with another value at a path in one of them, or without that value.

    + number: the index of the changed document
    """
    changed = copy.deepcopy(documents)
    parent = _parent(changed[number]["spec"], path)
    if value is None:
        del parent[path[-1]]
    else:
        parent[path[-1]] = value
    return _dumped(changed)


def _dumped(documents: list[Any]) -> str:
    return yaml.dump_all(documents, Dumper=yaml.CSafeDumper, sort_keys=False, width=100_000)


def _shown(value: Any) -> str:
    if isinstance(value, dict) and "expression" in value:
        return str(value["expression"])
    return yaml.safe_dump(value, default_flow_style=True, width=100_000).splitlines()[0]
