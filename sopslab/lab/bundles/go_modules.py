"""The Go modules that a program was built from, as the linker writes them into it: no Go is needed
to read them, and they say what is in it, whatever a go.sum allows."""

from __future__ import annotations

import mmap
from pathlib import Path

from sopslab.artifacts.sbom import Part

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
# Strings follow the header since Go 1.18.
_INLINE = 2
# The linker marks both ends of the module text, for programs that look for it in memory.
_MARK = 16


def go_modules(program: Path) -> list[Part]:
    """Return the modules of a program, Go's standard library among them; nothing where it is not
    one of Go's."""
    with program.open("rb") as file:
        if program.stat().st_size == 0:
            return []
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _read(content)


def _read(content: mmap.mmap) -> list[Part]:
    at = content.find(_MAGIC)
    # It is aligned; the text of the magic itself may be in a program, too.
    while at >= 0 and at % 16:
        at = content.find(_MAGIC, at + 1)
    if at < 0 or not content[at + 15] & _INLINE:
        return []
    version, at = _text(content, at + _HEADER)
    modules, _ = _text(content, at)
    found = [Part("golang", "stdlib", version.decode().removeprefix("go").split()[0])]
    lines = modules[_MARK:-_MARK].decode("utf-8", "replace").splitlines()
    for number, line in enumerate(lines):
        kind, *fields = line.split("\t")
        replaced = lines[number + 1].split("\t") if number + 1 < len(lines) else [""]
        if kind == "dep" and len(fields) >= 2:
            # A replacement by another version counts; one by a folder has none.
            if replaced[0] == "=>" and len(replaced) >= 3 and replaced[2]:
                fields = replaced[1:3]
            found.append(Part("golang", fields[0], fields[1]))
    return found


def _text(content: mmap.mmap, at: int) -> tuple[bytes, int]:
    """Return a text with its length in front of it, and where it ends."""
    length = shift = 0
    while True:
        byte = content[at]
        at += 1
        length |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            break
    return content[at : at + length], at + length
