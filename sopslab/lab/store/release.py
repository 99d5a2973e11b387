"""A release file, fetched and taken only with the sum that is pinned, or that was recorded when it
was first used."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
import zlib
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.store.bench import bench
from sopslab.lab.tools import files, web
from sopslab.model.recipes import ReleasePlan
from sopslab.model.store import Entry


def fetch(lab: Lab, plan: ReleasePlan, entry: Entry, url: str) -> None:
    """Fill an entry of the store with the programs of a release file."""
    with bench(lab, "release") as place:
        fetched = place.folder / "download"
        try:
            web.download(url, fetched)
        except web.Unavailable as error:
            raise LabError(
                f"{plan.file} could not be fetched from {url} ({error}); what was there stays"
            ) from None
        found = files.sha256(fetched)
        expected = plan.sha256 or _recorded(lab).get(plan.file)
        if expected is not None and found != expected:
            raise LabError(
                f"{plan.file} is not what is pinned: sha256 {expected} was expected, {found} was"
                " found; what was there stays"
            )
        made = place.folder / "entry"
        (made / "bin").mkdir(parents=True)
        for program, member in plan.members.items():
            target = made / "bin" / program
            if member is None:
                shutil.copyfile(fetched, target)
            elif not _unpack(fetched, member, target):
                raise LabError(f"{plan.file} has no member {member}")
            target.chmod(0o755)
        if expected is None:
            _record(lab, plan.file, found)
        place.publish(made, entry)


def _unpack(archive: Path, member: str, to: Path) -> bool:
    """Unpack the file of this very name from a tar.gz, and return whether there is one."""
    try:
        with tarfile.open(archive, "r:gz") as packed:
            content = packed.extractfile(member)
            if content is None:
                return False
            with to.open("wb") as target:
                shutil.copyfileobj(content, target)
    except (KeyError, OSError, EOFError, tarfile.TarError, zlib.error):
        return False
    return True


def _lock_file(lab: Lab) -> Path:
    return Path(lab.root, "lock.json")


def _recorded(lab: Lab) -> dict[str, str]:
    """Return the sums of files that were recorded when they were first used."""
    known: dict[str, str] = json.loads(files.read(_lock_file(lab)) or b"{}")
    return known


def _record(lab: Lab, file: str, found: str) -> None:
    known = {**_recorded(lab), file: found}
    files.write(_lock_file(lab), json.dumps(known, indent=2) + "\n", 0o644)
    sys.stderr.buffer.write(
        f"{file}: no sum is pinned; {found} is recorded in {_lock_file(lab)} and asked for from now"
        " on\n".encode()
    )
