"""Find out where a learner stands, as far as it shows on the Git server.

The row that the instructor's board has published tells it, or else the repository alone. Others
wrote what is read here: sizes and time are bounded, and nothing is shown unescaped.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from sopslab.config.naming import seat_namespace, seat_system_namespace
from sopslab.course import lacks
from sopslab.course.chapter import SECRET, Chapter
from sopslab.course.listing import read_list
from sopslab.gitserver.rows import learners_own, published
from sopslab.policy import documents, sops
from sopslab.policy.findings import Undecidable
from sopslab.policy.printing import in_one_line

_MAIN = "refs/heads/main"
_MOST = 256 * 1024
"""How many bytes of a file are read; the chapter's files have a few hundred."""
_A_DAY = 8 * 3600.0
"""Seconds after which a row is from a class on another day."""
_GIT_S = 3.0


@dataclass(frozen=True)
class Seat:
    """A seat, its bare repository on the Git server, and the file with its published row."""

    id: str
    repository: Path
    row: Path

    @property
    def chapter(self) -> Chapter:
        """The chapter, with the names that it has at this seat."""
        system = seat_system_namespace(self.id)
        return Chapter(SECRET, "lab", namespace=seat_namespace(self.id), system=system)


@dataclass(frozen=True)
class Standing:
    """The step that a learner is at, None if all are done.

    `found` says what is in the way or comes next. `fix` is the command that helps, empty if the
    learner has none.
    """

    step: str | None
    found: str = ""
    fix: str = ""


def standing(seat: Seat, pushed: str) -> Standing:
    """Return where a learner stands.

    If the push brought no commit that main lacks, the row comes first: it has what Flux says, too.

    + pushed: the commit that the learner pushed to ask
    """
    main = _commit(seat, _MAIN)
    if main is not None and _count(seat, pushed, main) == 0:
        found = _published(seat, time.time())
        if found is not None:
            return found
    return _by_repository(seat, pushed, main)


# The row


def _published(seat: Seat, now: float) -> Standing | None:
    row = published(seat.row)
    if row is None or not max(_moved(seat), now - _A_DAY) <= row.seen:
        return None
    if row.open is None:
        return Standing(None)
    return Standing(row.open.id, row.next, learners_own(row.fix, seat.id))


def _moved(seat: Seat) -> float:
    """Return when main was moved last, or when git packed the branches if that was later."""
    times = [0.0]
    for name in (_MAIN, "packed-refs"):
        try:
            times.append((seat.repository / name).stat().st_mtime)
        except OSError:
            continue
    return max(times)


# The repository


def _by_repository(seat: Seat, pushed: str, main: str | None) -> Standing:
    """Return the first step that the pushed commit or main lacks, in the words of the doctor."""
    chapter = seat.chapter
    manifest = _file(seat, pushed, chapter.file)
    if manifest is None:
        return Standing("encrypted", lacks.no_file(chapter), chapter.encrypt)
    if not _is_encrypted(manifest):
        return Standing("encrypted", lacks.not_encrypted(chapter), chapter.encrypt_again)
    text = (_file(seat, pushed, chapter.kustomization) or b"").decode("utf-8-sig", "replace")
    if PurePosixPath(chapter.file).name not in _listed(text):
        return Standing("wired", in_one_line(lacks.not_listed(chapter, text)))
    push = "git push origin HEAD:main"
    if main is None:
        return Standing("pushed", "the Git server has no branch main.", push)
    if _count(seat, pushed, main):
        if _count(seat, main, pushed):
            both = f"git pull --rebase origin main && {push}"
            return Standing("pushed", lacks.gone_apart(pushed, main), both)
        return Standing("pushed", lacks.not_pushed(pushed, main), push)
    return Standing(
        "applied",
        "main holds all that the chapter asks for, so the rest is Flux's: is the Secret there?",
        f"kubectl -n {chapter.namespace} get secret {chapter.secret}",
    )


def _listed(kustomization: str) -> Collection[str]:
    """Return what a kustomization lists; nothing if it cannot be read, or expands too far."""
    try:
        documents.parse(kustomization)
    except Undecidable:
        return ()
    return read_list(kustomization) or ()


def _is_encrypted(manifest: bytes) -> bool:
    """Return whether a file has a sops block and only encrypted values.

    Also True if the file is too large or too deep to be read: the policy, which has judged the
    push, could not tell either.
    """
    try:
        parsed = documents.parse(manifest.decode("utf-8-sig", "replace"))
    except Undecidable:
        return True
    there = [document for document in parsed.documents if not documents.is_null(document)]
    return bool(there) and all(
        sops.metadata(document) is not None
        and all(
            sops.is_encrypted(documents.text_of(value))
            for section in ("data", "stringData")
            for value in documents.fields(documents.get(document, section)).values()
        )
        for document in there
    )


def _commit(seat: Seat, name: str) -> str | None:
    found = _git(seat, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    return None if found is None else found.decode("ascii").strip()


def _count(seat: Seat, commit: str, without: str) -> int:
    """Return 1 if *commit* has commits that *without* lacks, or if git does not say; else 0."""
    found = _git(seat, "rev-list", "--count", "--max-count=1", commit, f"^{without}")
    return 1 if found is None else int(found)


def _file(seat: Seat, commit: str, path: str) -> bytes | None:
    """Return a file of a commit, None if it is not there; of a large file only the beginning."""
    found = _git(seat, "cat-file", "blob", f"{commit}:{path}")
    return None if found is None else found[:_MOST]


def _git(seat: Seat, *arguments: str) -> bytes | None:
    """Return what git prints, None where it fails or takes too long."""
    try:
        done = subprocess.run(
            ["git", "-C", str(seat.repository), *arguments],
            capture_output=True, timeout=_GIT_S, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None
