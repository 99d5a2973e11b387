"""Build a push as Flux would, in a sandbox, before Flux itself builds it for everybody.

The Git server's pre-receive hook calls ``build``. The builder is the command ``flux``, without a
cluster; ``confine`` bounds what it may use.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sopslab.policy import built, kustomizations, sandbox
from sopslab.policy.findings import Finding, Hit
from sopslab.policy.sources import SUBMODULE, SYMLINK, Blob, Repository, SourceError, TooMuch

TOP = "flux"
"""The folder whose files are all given to Flux."""
ROOT = "flux/secrets/develop"
"""The folder that Flux builds."""

_MAX_FILES = 5000
_SLOTS = 4
"""How many builds run at a time, over all repositories; each takes one processor."""
_PATIENCE_S = 10.0
_STALE_S = 120.0
_FOLDER = "sopslab-build-"
_NAME = "secrets-develop"
_KUSTOMIZATION = f"""\
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata:
  name: {_NAME}
  namespace: lab
spec:
  interval: 1m0s
  path: ./{ROOT}
  prune: true
  sourceRef:
    kind: GitRepository
    name: lab
"""


@dataclass(frozen=True)
class Built:
    """What Flux would apply: a stream of YAML documents.

    Each encrypted value is replaced by a mark (``built``); values in plain text are unchanged.
    `text` is empty if Flux would apply nothing.
    """

    text: str


@dataclass(frozen=True)
class Broken:
    """The build fails, and Flux's own would fail at once, too: a mistake that harms nobody."""


@dataclass(frozen=True)
class Refused:
    """The commit must not reach Flux; the findings say why."""

    findings: tuple[Finding, ...]


Result = Built | Broken | Refused


def build(repository: Repository, commit: str) -> Result:
    """Return what Flux would get if it built *commit*.

    Raises SourceError if that cannot be found out, for example without git or flux.
    """
    if not repository.run("ls-tree", "-d", "--full-tree", commit, "--", ROOT):
        return Broken()
    most = (_MAX_FILES, kustomizations.MAX_BYTES)
    try:
        blobs = list(repository.tree(commit, TOP, most=most))
    except TooMuch:
        message = f"more than {most[0]} files or {most[1] // 1024} KiB below {TOP}/"
        return _refused("kustomize-too-much", message, commit, TOP)
    problems = [*_odd(blobs, commit)]
    tree = {blob.path: blob.data for blob in blobs}
    problems += [] if problems else kustomizations.check(tree, ROOT, commit)
    if problems:
        return Refused(tuple(problems))
    with _folder() as folder, _slot():
        _write(folder, tree)
        outcome = sandbox.run(_command(folder), folder)
    if outcome.refusal:
        return _refused("kustomize-build", outcome.refusal, commit, ROOT)
    if outcome.code == 0:
        return Built(outcome.output)
    if kustomizations.encrypted_sources(tree):
        # Flux has the key, so its build may be a different one; nobody knows whether that ends.
        message = "cannot be built, as far as that can be told of encrypted files"
        return _refused("kustomize-build", message, commit, ROOT)
    return Broken()


def _refused(rule: str, message: str, commit: str, path: str) -> Refused:
    return Refused((Hit(1, rule, message).at(path, commit),))


def _odd(blobs: list[Blob], commit: str) -> Iterator[Finding]:
    """Yield links and submodules, and paths that no file system could hold as Git has them."""
    for blob in blobs:
        if blob.mode in (SYMLINK, SUBMODULE):
            yield Hit(1, "not-a-regular-file", "a link below flux/").at(blob.path, commit)
        elif any(part in ("", ".", "..") for part in blob.path.split("/")):
            yield Hit(1, "not-a-regular-file", "a path that leads elsewhere").at(TOP, commit)


def _write(folder: Path, tree: Mapping[str, bytes]) -> None:
    """Write a tree into *folder*, with a mark in place of each encrypted value.

    Raises SourceError if a file cannot be written.
    """
    try:
        for path, data in tree.items():
            file = folder / "tree" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("xb") as stream:
                stream.write(built.marked(data))
        (folder / "kustomization.yaml").write_text(_KUSTOMIZATION)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "a name that no file can have"
        raise SourceError(f"what is pushed cannot be laid out: {reason}") from None


def _command(folder: Path) -> list[str]:
    program = os.environ.get("SOPSLAB_FLUX") or shutil.which("flux")
    if not program:
        raise SourceError("flux is not installed, so what is pushed cannot be built")
    return [
        *(os.path.realpath(program), "build", "kustomization", _NAME, "--namespace=lab"),
        *("--dry-run", f"--path={folder}/tree/{ROOT}"),
        f"--kustomization-file={folder}/kustomization.yaml",
    ]


@contextmanager
def _folder() -> Iterator[Path]:
    """Yield a private folder; before that, remove the folders that killed hooks left behind."""
    places = Path(tempfile.gettempdir())
    for left in places.glob(f"{_FOLDER}*"):
        try:
            stale = time.time() - left.lstat().st_mtime > _STALE_S
        except OSError:
            continue
        if stale:
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_FOLDER))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _slot() -> Iterator[None]:
    """Wait for a free build slot and hold it. Raises SourceError if the wait takes too long."""
    deadline = time.monotonic() + _PATIENCE_S
    files = []
    try:
        for number in range(_SLOTS):
            path = Path(tempfile.gettempdir()) / f".sopslab-slot-{os.getuid()}-{number}"
            flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
            files.append(os.open(path, flags, 0o600))
        while not any(map(_taken, files)):
            if time.monotonic() > deadline:
                raise SourceError("too much is being pushed right now: push again in a minute")
            time.sleep(0.02)
        yield
    except OSError as error:
        raise SourceError(f"a build could not be begun: {error.strerror}") from None
    finally:
        for file in files:
            os.close(file)


def _taken(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
