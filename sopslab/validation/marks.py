"""Replace ciphertext by marks while Flux builds, so that its origin can be told afterwards.

`flux build` hides whatever looks encrypted. So before a build, each encrypted value is replaced by
its own mark (base64, as the values in `data` have to be); after it, the values are put back.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

from sopslab.policy import sops

_VALUE = re.compile(sops.VALUE.pattern.encode("ascii"))
_MARKERS = (b"mac: ENC[", b'"mac": "ENC[', b"sops_mac=ENC[", b"[sops]")
"""By these, Flux recognises encrypted files (kustomize-controller, decryptor.go)."""
_FLAT = re.compile(r"^sops_\w+=.*\n?", re.MULTILINE)
_INI = re.compile(r"^\[sops\][^\n]*\n(?:(?!\[).*\n?)*", re.MULTILINE)
_YAML = re.compile(r"^sops:.*\n?(?:(?:[ \t-].*)?\n)*(?:[ \t].*)?", re.MULTILINE)


@dataclass(frozen=True)
class Origin:
    """What a mark stands for: a value in a file, or a variable, which has no path."""

    text: str
    path: str = ""


class Marks:
    """The marks of one run."""

    def __init__(self) -> None:
        # A mark has only letters and digits, and a multiple of four of them: that is base64, and no
        # number in YAML.
        self._prefix = "mark" + secrets.token_hex(6)
        self._origins: list[Origin] = []
        self._numbers: dict[Origin, int] = {}
        self._pattern = re.compile(self._prefix + r"(\d{8})")

    def mark(self, origin: Origin) -> str:
        """Return the mark of a value."""
        number = self._numbers.setdefault(origin, len(self._origins))
        if number == len(self._origins):
            self._origins.append(origin)
        return f"{self._prefix}{number:08d}"

    def variable(self, name: str) -> str:
        """Return the mark of a variable whose value is not known here."""
        return self.mark(Origin(f"${{{name}}}"))

    def marked(self, data: bytes, path: str) -> bytes:
        """Return the content of a file with a mark for each encrypted value."""
        if b"ENC[AES256_GCM" not in data:
            return data
        return _VALUE.sub(
            lambda match: self.mark(Origin(match[0].decode("ascii"), path)).encode("ascii"), data
        )

    def restored(self, text: str) -> str:
        """Return a text with the values that its marks stand for."""
        return self._pattern.sub(lambda match: self._origins[int(match[1])].text, text)

    def origins(self, text: str) -> Iterator[Origin]:
        """Yield what the marks in a text stand for."""
        for match in self._pattern.finditer(text):
            yield self._origins[int(match[1])]


def is_encrypted_file(data: bytes) -> bool:
    """True for a file that Flux would decrypt before it builds."""
    return any(marker in data for marker in _MARKERS)


def without_metadata(data: bytes) -> bytes:
    """Return an encrypted file without sops' metadata, as it is after decryption; values stay."""
    text = data.decode("utf-8", "surrogateescape")
    if text.lstrip().startswith("{"):
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            return data
        content.pop("sops", None)
        whole = content.get("data") if content.keys() == {"data"} else None
        text = whole if isinstance(whole, str) else json.dumps(content)
    else:
        for pattern in (_FLAT, _INI, _YAML):
            text = pattern.sub("", text)
    return text.encode("utf-8", "surrogateescape")
