"""Run gitleaks, a scanner for secrets in source code and configuration, over one stream.

Nothing is written to disk: the texts go to one ``gitleaks stdin``, with separators between them,
and the lines it reports tell which text is meant. Only rule ids and lines of its report are used.
The repository's own configuration, ignore files and ``gitleaks:allow`` comments do not count.
"""

from __future__ import annotations

import json
import queue
import re
import subprocess
import threading
from bisect import bisect_right
from dataclasses import dataclass

from sopslab.policy import gitleaks, sops
from sopslab.policy.gitleaks import ScannerError

_TIMEOUT_S = 300
_BATCH = 1 << 16
_SEPARATOR = "\n\n#\n\n"
_ARMOR = re.compile(
    r"-----BEGIN (AGE ENCRYPTED FILE|PGP MESSAGE|PGP PUBLIC KEY BLOCK|PGP SIGNATURE|CERTIFICATE|"
    r"PUBLIC KEY)-----[A-Za-z0-9+/=\s\\]*?-----END \1-----"
)

_RECIPIENT = re.compile(r"\bage1[a-z0-9]{30,}\b")


@dataclass(frozen=True)
class Leak:
    """What gitleaks found: in which text (by its number), at which line, by which rule."""

    text: int
    line: int
    rule: str

    @property
    def is_generic(self) -> bool:
        """True for the rule that judges by names and entropy instead of the form of a token."""
        return self.rule == "generic-api-key"


class Gitleaks:
    """One run of gitleaks: ``feed`` texts, then ``finish``."""

    def __init__(self, begun: gitleaks.Begun) -> None:
        """Use the gitleaks that has *begun*. Raises ScannerError if it could not be started."""
        self._process = begun.process()
        # The first bytes decide whether gitleaks takes the stream for text.
        self._pending = ["#", _SEPARATOR]
        self._size = 0
        self._next_line = 1 + _SEPARATOR.count("\n")
        self._starts: list[int] = []
        self._queue: queue.Queue[bytes | None] = queue.Queue(64)
        self._output = b""
        self._threads = [
            threading.Thread(target=self._write, daemon=True),
            threading.Thread(target=self._read, daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def feed(self, text: str) -> int:
        """Add *text* to the stream and return its number. Raises ScannerError if gitleaks does not
        read on."""
        text = sops.VALUE.sub("ENC", text.replace("\r\n", "\n"))
        text = _RECIPIENT.sub("age1", text)
        if "-----BEGIN" in text:
            text = _ARMOR.sub(lambda match: "\n" * match[0].count("\n"), text)
        self._starts.append(self._next_line)
        self._pending += [text, _SEPARATOR]
        self._next_line += text.count("\n") + _SEPARATOR.count("\n")
        self._size += len(text)
        if self._size > _BATCH:
            self._flush()
        return len(self._starts) - 1

    def finish(self) -> list[Leak]:
        """Return all leaks. Raises ScannerError if gitleaks did not end as it should."""
        self._flush()
        self._put(None)
        try:
            code = self._process.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise ScannerError(f"gitleaks did not end within {_TIMEOUT_S} s") from None
        for thread in self._threads:
            thread.join()
        if code not in (0, gitleaks.LEAKS):
            raise ScannerError(f"gitleaks failed with exit code {code}")
        try:
            return [self._leak(finding) for finding in json.loads(self._output)]
        except (ValueError, KeyError, TypeError):
            raise ScannerError("gitleaks gave no readable report") from None

    def _leak(self, finding: dict[str, object]) -> Leak:
        start, end = int(str(finding["StartLine"])), int(str(finding["EndLine"]))
        # A match may begin with the line break before its text, so only its end tells which text.
        number = bisect_right(self._starts, end) - 1
        if number < 0:
            raise ValueError("a leak before the first text")
        first = self._starts[number]
        return Leak(number, max(start, first) - first + 1, str(finding["RuleID"]))

    def _flush(self) -> None:
        self._put("".join(self._pending).encode("utf-8", "replace"))
        self._pending, self._size = [], 0

    def _put(self, batch: bytes | None) -> None:
        try:
            self._queue.put(batch, timeout=_TIMEOUT_S)
        except queue.Full:
            self._process.kill()
            raise ScannerError(f"gitleaks has read nothing for {_TIMEOUT_S} s") from None

    def _write(self) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        broken = False
        while (batch := self._queue.get()) is not None:
            try:
                if not broken:
                    stdin.write(batch)
                    stdin.flush()
            except OSError:
                # gitleaks ended early; its exit code says so, the queue must still drain.
                broken = True
        try:
            stdin.close()
        except OSError:
            return

    def _read(self) -> None:
        assert self._process.stdout is not None
        self._output = self._process.stdout.read()
