"""Make a report: ask, take the secrets out, write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sopslab.errors import LabError
from sopslab.lab.support import archive, collecting, secrets
from sopslab.lab.support.collecting import Collected
from sopslab.lab.support.coverage import cover
from sopslab.lab.support.redaction import Redactor, Secret, TooMuch, holds_key_material
from sopslab.model.results import Undecided

if TYPE_CHECKING:
    from sopslab.config.settings import Settings

_AT_A_TIME = 8  # questions; each of them mostly waits for a process


@dataclass(frozen=True)
class Made:
    """A report: its file, how many places are redacted, and in sentences what is not in it."""

    path: Path
    redacted: int
    missing: Sequence[str]


def make_report(settings: Settings, path: Path | None, now: datetime) -> Made:
    """Write a report on a lab to `path`, or to a file here that is named after lab and time.

    Raises LabError if there is no lab, one of its secrets cannot be read, or the file cannot be
    written.
    """
    if not Path(settings.lab_dir).is_dir():
        raise LabError(f"there is no lab {settings.lab} on this machine: `sopslab up` makes it")
    stem = f"sops-lab-{settings.lab}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}"
    path = path or Path(f"{stem}.tar.gz")
    known = secrets.on_disk(settings)
    unknown = []
    with ThreadPoolExecutor(_AT_A_TIME) as executor:
        coverage = executor.submit(cover, settings)
        try:
            known += secrets.in_cluster(settings, coverage.result())
        except Undecided as error:
            unknown.append(
                f"the cluster's own Secrets, so their values could not be taken out: {error}"
            )
        collected = collecting.collect(settings, executor, coverage)
    told, redacted = _redacted(collected, known)
    missing = [*unknown, *told.missing]
    files = {**told.files, "README.txt": _contents(told.files, redacted, missing)}
    archive.write(path, archive.pack(stem, files, now.timestamp()))
    return Made(path, redacted, missing)


def _redacted(collected: Collected, known: Sequence[Secret]) -> tuple[Collected, int]:
    """Return what may be told, and how many places of it were taken out."""
    redactor = Redactor(known)
    files, missing, places = {}, list(collected.missing), 0
    for name, content in collected.files.items():
        try:
            redacted = redactor.redact(content)
        except TooMuch:
            missing.append(f"{name}: too much of it begins as a secret does")
            continue
        places += redacted.places
        if holds_key_material(redacted.text):
            missing.append(f"{name}: it still holds what looks like a key")
        else:
            files[name] = redacted.text
    return Collected(files, missing), places


def _contents(files: Mapping[str, bytes], redacted: int, missing: Sequence[str]) -> bytes:
    lines = [
        "A report on a lab of sops-lab, made with `sopslab support`.",
        f"{redacted} places are redacted; each says what was there. Look through it all the same",
        "before you pass it on: names and addresses stay in it.",
        "",
        *(f"{len(content):9} {name}" for name, content in sorted(files.items())),
        "",
        *(f"not in it: {sentence}" for sentence in missing),
    ]
    return ("\n".join(lines) + "\n").encode()
