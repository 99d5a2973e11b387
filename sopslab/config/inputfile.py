"""Read a file that somebody wrote by hand: within bounds, as UTF-8, and its YAML strictly."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml
from typing_extensions import override

from sopslab.errors import InputError

MIB = 1024 * 1024
MAX_BYTES = MIB
_MAX_NODES = 20_000
# The first bytes of files that are not text, and what such a file is.
_NO_TEXT = {
    b"PK\x03\x04": "is a spreadsheet or another archive, whatever it is called: save it as text",
    b"\xd0\xcf\x11\xe0": "is a spreadsheet, whatever it is called: save it as text",
    b"%PDF-": "is a PDF: save it as text",
}
UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)

_Read = TypeVar("_Read")


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses duplicate keys and aliases; a few aliases can fill the memory."""

    nodes = 0

    @override
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, "aliases are not allowed: write the value out", event.start_mark
            )
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.constructor.ConstructorError(
                None, None, f"more than {_MAX_NODES} values", mark
            )
        return super().compose_node(parent, index)

    @override
    def construct_object(self, node: Any, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, OverflowError) as error:
            # PyYAML raises these without the place, for example for a date in a thirteenth month.
            raise yaml.constructor.ConstructorError(
                None, None, str(error), node.start_mark
            ) from None

    @override
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                raise yaml.constructor.ConstructorError(
                    None, None, "found unhashable key", key_node.start_mark
                )
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} is there twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


@dataclass
class Findings:
    """The problems of a file, to be reported in the order of its lines."""

    path: str
    found: list[tuple[int, str]] = field(default_factory=list)

    def add(self, line: int, sentence: str) -> None:
        """Note a problem; line 0 is the file as a whole."""
        self.found.append((line, sentence))

    def refuse_if_any(self) -> None:
        """Raise InputError with all problems, if there are any."""
        if self.found:
            found = sorted(self.found, key=lambda problem: problem[0])
            raise InputError(
                [f"{self.path}{f':{line}' if line else ''}: {text}" for line, text in found]
            )


def read_text(path: str, kind: str) -> str:
    """Return the text of the file `path`, which is a `kind` of file, without a byte order mark.

    Raises InputError for a file that cannot be read, exceeds 1 MiB, or is not UTF-8.
    """
    content = read_bytes(path, kind, MAX_BYTES).removeprefix(codecs.BOM_UTF8)
    if content.startswith(UTF_16):
        raise InputError([f"{path}: is UTF-16: save it as UTF-8"])
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            [f"{path}:{line_at(content, error.start)}: is not UTF-8: save it as UTF-8"]
        ) from None


def read_bytes(path: str, kind: str, most: int) -> bytes:
    """Return the bytes of the file `path`, which is a `kind` of file in text.

    + most: how many bytes it may have, a multiple of 1 MiB

    Raises InputError for a file that cannot be read, is larger, or is known to be no text.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise InputError([f"{path}: cannot be read: {error.strerror}"]) from None
    if len(content) > most:
        raise InputError([f"{path}: is larger than {most // MIB} MiB, which no {kind} is"])
    for start, what in _NO_TEXT.items():
        if content.startswith(start):
            raise InputError([f"{path}: {what}"])
    return content


def line_at(content: bytes, position: int) -> int:
    """Return the number of the line in which a byte stands."""
    return content.count(b"\n", 0, position) + 1


def load_yaml(path: str, text: str) -> Any:
    """Return what the YAML `text` of the file `path` says.

    Raises InputError, naming file and line, for text that is not YAML, has duplicate keys or
    aliases, or has more values than any file of ours.
    """
    return _parsed(path, text, lambda loader: loader.get_single_data())


def compose_yaml(path: str, text: str) -> yaml.Node | None:
    """Return the nodes of the YAML `text`, with their places, or None for an empty file.

    Raises InputError as `load_yaml` does, except for duplicate keys, which nodes can have.
    """
    node: yaml.Node | None = _parsed(path, text, lambda loader: loader.get_single_node())
    return node


def _parsed(path: str, text: str, read: Callable[[Any], _Read]) -> _Read:
    loader = None
    try:
        loader = _StrictLoader(text)
        return read(loader)
    except (yaml.MarkedYAMLError, yaml.reader.ReaderError, RecursionError) as error:
        raise InputError([_sentence(path, error)]) from None
    except (ValueError, OverflowError):
        # For example "\UFFFFFFFF", which PyYAML's scanner passes to `chr` unchecked.
        line = f":{loader.line + 1}" if loader else ""
        raise InputError([f"{path}{line}: holds an escape or a number out of range"]) from None


def _sentence(path: str, error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError):
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark else ""
        return f"{path}{line}: {error.problem or error.context}"
    if isinstance(error, RecursionError):
        return f"{path}: is nested too deeply"
    return f"{path}: {str(error).splitlines()[0]}"
