"""Read the text of a PDF back, page by page, as a search or a screen reader would."""

from __future__ import annotations

import re
import zlib

_OBJECT = re.compile(rb"(\d+) 0 obj\n(.*?)\nendobj", re.DOTALL)
_PAGE = re.compile(rb"/Type /Page\b")
_STREAM = re.compile(rb"stream\n(.*?)\nendstream", re.DOTALL)
_SHOWN = re.compile(rb"/(F\d+) [\d.]+ Tf|\(((?:[^\\()]|\\.)*)\) Tj", re.DOTALL)
_ESCAPE = re.compile(rb"\\(.)", re.DOTALL)
_CONTROL = {b"r": b"\r", b"n": b"\n", b"t": b"\t", b"b": b"\b", b"f": b"\f"}


def pages(pdf: bytes) -> list[str]:
    """Return the text of each page, a line for each that is drawn."""
    objects = {int(number): body for number, body in _OBJECT.findall(pdf)}
    found = [body for body in objects.values() if _PAGE.search(body)]
    return ["\n".join(_lines(objects, body)) for body in found]


def _lines(objects: dict[int, bytes], page: bytes) -> list[str]:
    resources = objects[_reference(page, b"Resources")]
    fonts = {
        name: _characters(objects, int(number))
        for name, number in re.findall(rb"/(F\d+) (\d+) 0 R", resources)
    }
    lines, font = [], b""
    for name, text in _SHOWN.findall(_stream(objects[_reference(page, b"Contents")])):
        font = name or font
        codes = _ESCAPE.sub(lambda found: _CONTROL.get(found[1], found[1]), text)
        if text:
            pairs = (codes[at : at + 2] for at in range(0, len(codes), 2))
            lines.append("".join(fonts[font][pair] for pair in pairs))
    return lines


def _characters(objects: dict[int, bytes], font: int) -> dict[bytes, str]:
    table = _stream(objects[_reference(objects[font], b"ToUnicode")])
    return {
        bytes.fromhex(code.decode()): bytes.fromhex(text.decode()).decode("utf-16-be")
        for code, text in re.findall(rb"<([0-9A-Fa-f]{4})> <([0-9A-Fa-f]+)>\n", table)
    }


def _reference(body: bytes, key: bytes) -> int:
    found = re.search(rb"/%s (\d+) 0 R" % key, body)
    assert found, key
    return int(found[1])


def _stream(body: bytes) -> bytes:
    found = _STREAM.search(body)
    assert found
    return zlib.decompress(found[1]) if b"/FlateDecode" in body else found[1]
