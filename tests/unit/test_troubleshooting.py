"""docs/troubleshooting.md quotes messages: each is still one that the lab can say."""

from __future__ import annotations

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

from sopslab.layout import PROJECT
from tests.sources import tree_of

PAGE = PROJECT / "docs" / "troubleshooting.md"
# The files with our own messages, scripts included.
PYTHON = [path for top in ("sopslab", "tasks") for path in (PROJECT / top).rglob("*.py")]
SCRIPTS = [
    path
    for top in ("artifacts/host", "templates")
    for path in (PROJECT / top).rglob("*")
    if path.is_file()
]
# Messages of other programs, which the cluster tests meet.
OTHERS = ("What Flux says",)
OTHER_PROGRAMS = {
    "server certificate verification failed",
    "certificate has expired",
    "Unauthorized",
    "Forbidden",
    "sops: command not found",
    "no matching creation rules found",
    "Authentication failed",
}
# Places that a message is about.
PLACES = {"/~/"}
QUOTED = re.compile(r"`([^`]+)`")


def messages() -> Iterator[str]:
    """Yield the messages that the first column of the tables quotes."""
    section = ""
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            section = line[3:]
        if line.startswith("| `") and section not in OTHERS:
            cell = re.split(r"(?<!\\) \| ", line)[0]
            yield from QUOTED.findall(cell)


def literals(path: Path) -> Iterator[str]:
    """Yield the texts in a module, with a placeholder where a value goes in. Docstrings are not
    among them."""
    nodes = list(ast.walk(tree_of(path)))
    said_to_nobody = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if id(node) in said_to_nobody:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else "…" for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def flat(text: str) -> str:
    """Return the text of a script with its sentences on one line, and "…" in place of values."""
    text = re.sub(r"[\"'] *\\\n\s*[\"']|\\\n\s*", " ", text)
    text = re.sub(r"\$\([^()]*\)|\$\{\w+\}|\$\w+", "…", text)
    return re.sub(r"\s+", " ", re.sub(r"\\?`", "", text))


@functools.cache
def source() -> str:
    """Return all of our texts, one on each line."""
    scripts = [path.read_text() for path in SCRIPTS]
    return "\n".join(flat(text) for texts in (*map(literals, PYTHON), scripts) for text in texts)


def pieces(message: str) -> list[str]:
    """Return the parts of a message that are the same in every case.

    After a colon there may be a message of another part of the lab.
    """
    parts = re.split(r"…|tenant-<id>|\b8418\b|\b20 s\b|:3:|: |[\w/-]+\.(?:json|yaml)", message)
    return [words for part in parts if len(words := part.strip(" ():,.")) > 3]


def is_said(piece: str) -> bool:
    """Return whether a source has a part of a message, with at most one word filled in."""
    words = [re.escape(word) for word in piece.split(" ")]
    forms = [words]
    if len(words) > 3:
        forms += [[*words[:i], r"\S*…\S*", *words[i + 1 :]] for i in range(len(words))]
    return any(re.search(" ".join(form), source()) for form in forms)


def test_each_message_that_is_quoted_can_still_be_said() -> None:
    quoted = [one for one in messages() if one not in OTHER_PROGRAMS | PLACES]
    assert len(quoted) > 80
    assert [message for message in quoted if not pieces(message)] == []
    gone = {
        message: [piece for piece in pieces(message) if not is_said(piece)] for message in quoted
    }
    assert {message: parts for message, parts in gone.items() if parts} == {}


def test_a_message_that_nobody_says_is_noticed() -> None:
    assert pieces("the … is striped") == ["is striped"]
    assert not any(map(is_said, pieces("a zebra … has eaten these keys: run it")[:2]))
