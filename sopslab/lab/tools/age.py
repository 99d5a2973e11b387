"""age, for files too large for memory: plain text streams through, and is never on a disk."""

from __future__ import annotations

import fcntl
import os
import subprocess
import tempfile
import termios
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import IO, Any

from sopslab.config.places import Places
from sopslab.lab.tools.programs import Failed, clean_environment

_PATIENCE_S = 60
# How a file begins that a passphrase opens (C2SP, age.md).
_BY_PASSPHRASE = b"age-encryption.org/v1\n-> scrypt "


@dataclass(frozen=True)
class Passphrase:
    """A line of printable text that opens what it encrypted."""

    text: str = field(repr=False)


def asks_for_passphrase(source: IO[bytes]) -> bool:
    """Return whether a passphrase opens a file, which is at its beginning before and after this."""
    beginning = source.read(len(_BY_PASSPHRASE))
    source.seek(0)
    return beginning == _BY_PASSPHRASE


@contextmanager
def encrypting(
    places: Places, key: Sequence[str] | Passphrase, to: IO[bytes]
) -> Iterator[IO[bytes]]:
    """Yield a stream for plain text, which is written to a file encrypted. The file is complete
    once the block has ended. Raises Failed.

    + key: the recipients, or a passphrase
    """
    options = _options("--recipient", key)
    # age asks for a new passphrase twice.
    with _at_work(places, ["--encrypt", *options], key, 2, stdin=subprocess.PIPE, stdout=to) as age:
        assert age.stdin is not None
        yield age.stdin


@contextmanager
def decrypting(
    places: Places, key: Sequence[Path] | Passphrase, source: IO[bytes]
) -> Iterator[IO[bytes]]:
    """Yield the plain text of a file. The text is authentic and complete only if it was read to its
    end and the block ends without Failed.

    + key: files of identities, or a passphrase
    """
    options = [] if isinstance(key, Passphrase) else _options("--identity", key)
    with _at_work(
        places, ["--decrypt", *options], key, 1, stdin=source, stdout=subprocess.PIPE
    ) as age:
        assert age.stdout is not None
        yield age.stdout


def _options(name: str, key: Sequence[str | Path] | Passphrase) -> list[str]:
    if isinstance(key, Passphrase):
        return ["--passphrase"]
    return [word for one in key for word in (name, str(one))]


@contextmanager
def _at_work(
    places: Places, options: Sequence[str], key: object, times: int, **streams: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """Run age during the block. Raises Failed if age fails, even if the block raises something
    else.

    + times: how often age asks for the passphrase
    """
    with tempfile.TemporaryFile() as words, _typed(key, times) as terminal:
        try:
            process = subprocess.Popen(
                ["age", *options], env=clean_environment(places), stderr=words, **terminal,
                **streams,
            )  # fmt: skip
        except OSError:
            raise Failed("age", b"age: not found") from None
        try:
            try:
                yield process
            except Exception:
                # If age has failed, the block failed because of that: age's failure is raised
                # instead.
                if _has_ended(process) and process.returncode:
                    raise _failed(words) from None
                raise
            if not _has_ended(process):
                raise Failed("age", b"age timed out")
            if process.returncode:
                raise _failed(words)
        finally:
            process.kill()
            with suppress(BrokenPipeError):
                process.communicate()


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    """Wait for the end of age, and return whether it has ended. Its input is closed first; if its
    output was not read to the end, age counts as not ended."""
    if process.stdin is not None:
        with suppress(BrokenPipeError):
            process.stdin.close()
    elif process.stdout is not None and process.stdout.read(1):
        return False
    with suppress(subprocess.TimeoutExpired):
        process.wait(_PATIENCE_S)
    return process.returncode is not None


def _failed(words: IO[bytes]) -> Failed:
    words.seek(0)
    return Failed("age", words.read())


@contextmanager
def _typed(key: object, times: int) -> Iterator[dict[str, Any]]:
    """Yield the options to start age at a terminal where the passphrase is typed already: age reads
    a passphrase from nothing else."""
    if not isinstance(key, Passphrase):
        yield {}
        return
    keyboard, terminal = os.openpty()
    try:
        os.write(keyboard, f"{key.text}\n".encode() * times)
        yield {"start_new_session": True, "preexec_fn": _sit_down_at(terminal)}
    finally:
        os.close(terminal)
        os.close(keyboard)


def _sit_down_at(terminal: int) -> Callable[[], object]:
    return partial(fcntl.ioctl, terminal, termios.TIOCSCTTY, 0)
