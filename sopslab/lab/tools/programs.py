"""Programs that are run or asked something. Values reach them by standard input only."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from sopslab.config.places import Places
from sopslab.lab.tools.waiting import Deadline
from sopslab.model.results import Undecided
from sopslab.policy.processes import kill_with_descendants

PATIENCE = 20.0  # seconds for each program

# The user's settings for these programs must not change what the lab does.
_OTHERS = ("GIT_", "SOPS_", "KUBECONFIG", "KUBECACHEDIR")


class Failed(Exception):
    """A program failed. `words` are its own, for the log and for `causes`: never to be shown."""

    def __init__(self, name: str, words: bytes) -> None:
        super().__init__(f"{name} failed")
        self.name = name
        self.words = words

    @property
    def lines(self) -> list[str]:
        """What the program said, line by line."""
        return self.words.decode("utf-8", "replace").splitlines()


@dataclass(frozen=True)
class Answer:
    """What a program printed, and its exit code. Its standard error may quote input, and is kept
    only if that was asked for."""

    code: int
    out: bytes = b""

    @property
    def text(self) -> str:
        """Its output as text, without the newline at the end."""
        return os.fsdecode(self.out).rstrip("\n")


SILENCE = Answer(127)
"""The answer of a program that gives none: a shell says 127 of one that is not there."""


def ask(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: Path | None = None,
    stdin: bytes = b"",
    patience: float = PATIENCE,
    errors: bool = False,
) -> Answer:
    """Return what a program answers. Raises Undecided if it cannot be run or does not end.

    + errors: whether the program's standard error is part of the answer
    """
    name = Path(argv[0]).name
    try:
        code, out, _ = _finished(
            argv,
            stdin,
            patience,
            env=dict(environment),
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if errors else subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise Undecided(f"{name} did not answer within {patience:g} s") from None
    except OSError as error:
        raise Undecided(f"{name} cannot be run: {error.strerror}", "sopslab up") from None
    return Answer(code, out)


def try_ask(
    argv: Sequence[str], environment: Mapping[str, str], *, patience: float = PATIENCE
) -> Answer:
    """Return what a program answers, or SILENCE if it cannot be run or does not end."""
    try:
        return ask(argv, environment, patience=patience)
    except Undecided:
        return SILENCE


def run(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    folder: str | Path | None = None,
    stdin: bytes | IO[bytes] = b"",
    to: IO[bytes] | None = None,
    patience: float = 60,
    inherited: int | None = None,
) -> bytes:
    """Return what a program prints. Raises Failed if it cannot be run, fails or does not end.

    + stdin: what the program reads, or the file that it reads
    + to: the file that the program prints to; then nothing is returned
    + patience: seconds
    + inherited: a descriptor that the program inherits, such as that of a lock
    """
    name = Path(argv[0]).name
    try:
        code, out, words = _finished(
            argv,
            stdin,
            patience,
            env=dict(environment),
            cwd=folder,
            stdout=subprocess.PIPE if to is None else to,
            stderr=subprocess.PIPE,
            pass_fds=() if inherited is None else (inherited,),
        )
    except subprocess.TimeoutExpired:
        raise Failed(name, _late(name, patience)) from None
    except OSError as error:
        raise _absent(name, error) from None
    if code:
        raise Failed(name, words)
    return out


def _finished(
    argv: Sequence[str], stdin: bytes | IO[bytes], patience: float, **options: Any
) -> tuple[int, bytes, bytes]:
    """Return the exit code, the output and the standard error of a program. Raises OSError if it
    cannot be started, and TimeoutExpired if its output does not end in time; then it was killed,
    with all that it has started.

    `subprocess.run` is not enough: that of gevent, which pyinfra has put in its place, waits until
    nobody holds the program's pipes any more.
    """
    given, read = (stdin, subprocess.PIPE) if isinstance(stdin, bytes) else (None, stdin)
    process: subprocess.Popen[bytes] = subprocess.Popen(list(argv), stdin=read, **options)
    with process:
        try:
            out, words = process.communicate(given, timeout=patience)
        except BaseException:
            kill_with_descendants(process)
            raise
    return process.returncode, out or b"", words or b""


def lines(
    argv: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: bytes = b"",
    patience: float = 60,
) -> Iterator[str]:
    """Yield the lines that a program prints, as they come. Raises Failed as `run` does, after the
    last line.

    + patience: seconds for all of them
    """
    name = Path(argv[0]).name
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as words:
        given.write(stdin)
        given.seek(0)
        try:
            process = subprocess.Popen(
                list(argv), env=dict(environment), stdin=given, stdout=subprocess.PIPE, stderr=words
            )
        except OSError as error:
            raise _absent(name, error) from None
        deadline = Deadline(patience)
        late = threading.Timer(patience, kill_with_descendants, [process])
        late.start()
        try:
            with process:
                for line in process.stdout or ():
                    yield os.fsdecode(line).rstrip("\n")
            if process.returncode:
                words.seek(0)
                raise Failed(name, _late(name, patience) if deadline.is_over else words.read())
        finally:
            late.cancel()


class Stream:
    """A program whose lines are taken as it prints them, until it ends or is ended."""

    def __init__(
        self, argv: Sequence[str], environment: Mapping[str, str], take: Callable[[bytes], bool]
    ) -> None:
        """Start it. Raises Failed if it cannot be run.

        + take: is given each line, in a thread of the stream's own, and returns whether it wants
          more
        """
        try:
            self._process = subprocess.Popen(
                list(argv),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            raise _absent(Path(argv[0]).name, error) from None
        self._take = take
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def is_over(self) -> bool:
        """Whether no line comes any more."""
        return not self._reader.is_alive()

    def end(self) -> None:
        """End the program, and return once no line is taken any more."""
        kill_with_descendants(self._process)
        self._reader.join()

    def _read(self) -> None:
        with self._process:
            try:
                all(map(self._take, self._process.stdout or ()))
            finally:
                kill_with_descendants(self._process)


def _late(name: str, patience: float) -> bytes:
    return f"{name} timed out after {patience:g} s".encode()


def _absent(name: str, error: OSError) -> Failed:
    words = f"{name}: {error.strerror}" if error.errno else name
    return Failed(name, f"{words}: not found".encode())


# Programs in Go that end within a moment hardly need garbage collection, which takes a fifth of
# their time.
SHORT_LIVED = {"GOGC": "400"}


def clean_environment(places: Places) -> dict[str, str]:
    """Return an environment with the lab's tools and nothing of the user's: no SOPS_*, no HOME."""
    return {
        "PATH": f"{places.bin_dir}{os.pathsep}{os.defpath}",
        "HOME": "/nonexistent",
        # As root, kubectl would even make /nonexistent for its cache.
        "KUBECACHEDIR": places.kube_cache,
        **SHORT_LIVED,
        "LC_ALL": "C",
    }


def lab_environment(places: Places) -> dict[str, str]:
    """Return this process's environment for the lab's tools, without the user's own settings for
    them. Git reads no configuration outside a repository, and trusts only the lab's CA if there is
    one."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith(_OTHERS)}
    environment = {
        **kept,
        "PATH": f"{places.bin_dir}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "KUBECONFIG": places.lab_kubeconfig,
        # kubectl would keep its cache in the user's ~/.kube, or without HOME in the working
        # directory.
        "KUBECACHEDIR": places.kube_cache,
        **SHORT_LIVED,
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        **TRUE_HISTORY,
        "LC_ALL": "C",
    }
    if places.git_ca is not None:
        environment["GIT_SSL_CAINFO"] = places.git_ca
        # Loopback bypasses every proxy by itself; any other address of this machine has to be named
        # here.
        past = kept.get("NO_PROXY") or kept.get("no_proxy") or ""
        environment["NO_PROXY"] = environment["no_proxy"] = f"{past},{places.git_address}"
    return environment


# The lab has to see the history that Flux sees, and Flux knows neither replacements nor grafts.
TRUE_HISTORY = {"GIT_NO_REPLACE_OBJECTS": "1", "GIT_GRAFT_FILE": "/dev/null/none"}


def git_environment() -> dict[str, str]:
    """Return the user's own environment for Git, without variables that would point Git elsewhere.

    The user's configuration stays: it decides which hooks Git runs and what Git ignores.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return {
        **kept,
        "GIT_TERMINAL_PROMPT": "0",
        # Looking must not write: `git status` would refresh the index.
        "GIT_OPTIONAL_LOCKS": "0",
        **TRUE_HISTORY,
        "LC_ALL": "C",
    }


def keep_to_the_lab(places: Places) -> None:
    """Remove from this process's environment what would point Git, sops or kubectl elsewhere, and
    name the program of the secret scanner in it, with the settings that it gets here."""
    for name in list(os.environ):
        if name.startswith(("GIT_", "SOPS_")) or name == "KUBECONFIG":
            del os.environ[name]
    os.environ["SOPSLAB_GITLEAKS"] = f"{places.bin_dir}/gitleaks"
    # Only here: on a Git server, the scanner's memory is limited.
    os.environ.update(SHORT_LIVED)
