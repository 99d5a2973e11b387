"""The state of the store of artifacts, and of the sources that it could be filled from."""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sopslab.config.places import Lab
from sopslab.lab.tools import web
from sopslab.lab.tools.docker import ask_docker
from sopslab.lab.tools.files import entries, read, sha256
from sopslab.lab.tools.locks import is_locked
from sopslab.lab.tools.programs import try_ask
from sopslab.model.results import Undecided
from sopslab.model.store import Arch, Store, StoredEntry

# Files in each folder of the store, which describe the other files in it.
MANIFEST, STAMP = "manifest.json", "stamp"
# The record of the bundle that was loaded last, in the root.
BUNDLE = "bundle.json"
GO_FOLDER = "/usr/local/go/bin"
# The lock of runs that work in Go's caches.
BUILDS = "go"
# The prefix of the name of a folder that a recipe works in. The name of its lock follows, and then
# a unique part.
WORK = "work."
# The beginning of the name of a folder into which things are moved to be removed, so that no build
# finds them. All these folders have one lock.
GONE = "gone"
LOCK = ".lock"

_ARCHES: Mapping[str, Arch] = {"x86_64": "amd64", "aarch64": "arm64"}
_PROBE_S = 5
_IMAGE = "{{json .RepoTags}}\t{{json .Config.Labels}}"


def store_state(lab: Lab, images: list[str]) -> Store:
    """Return what is in the store, and which of the images Docker has.

    Raises Undecided if there are no artifacts for the machine's processors.
    """
    root = Path(lab.root)
    return Store(
        this_arch(),
        (read(root / "source") or b"").decode("utf-8", "replace").strip(),
        {path.name: entry for path in entries(root / "store") if (entry := stored_entry(path))},
        {path.name: str(path.readlink()) for path in entries(root / "bin") if path.is_symlink()},
        _labels(images),
        _cached(root / "cache"),
        str(_manifest(read(root / BUNDLE) or b"").get("source", "")),
    )


def _cached(cache: Path) -> tuple[str, ...]:
    """Return what builds have left in the cache; nothing while a run works in Go's caches."""
    if is_locked(cache / f"{BUILDS}{LOCK}"):
        return ()
    return tuple(path.name for path in leftovers(cache))


def leftovers(cache: Path) -> list[Path]:
    """Return what builds have left in the cache. The caller has to be the only one that works in
    Go's caches.

    Folders that another run works in, or is removing, are left out. A name is never used twice, so
    a folder that is found unused here stays unused.
    """
    return [path for path in entries(cache) if path.suffix != LOCK and not _is_in_use(path)]


def _is_in_use(path: Path) -> bool:
    if path.name.startswith(WORK):
        lock = path.name.removeprefix(WORK).rpartition(".")[0]
    else:
        lock = GONE if path.name.startswith(f"{GONE}.") else BUILDS
    return lock != BUILDS and is_locked(path.with_name(f"{lock}{LOCK}"))


def stored_entry(folder: Path) -> StoredEntry | None:
    """Return what a folder of the store holds, None if it is missing or empty."""
    found = stamped(folder)
    manifest = read(folder / MANIFEST)
    if manifest is None and not found:
        return None
    lines = (read(folder / STAMP) or b"").decode("utf-8", "surrogateescape").splitlines()
    stamp = {name: stat for name, tab, stat in (line.partition("\t") for line in lines) if tab}
    stored = StoredEntry(_manifest(manifest or b""), found, stamp)
    sums = {name: _sum(folder / name) for name in stored.doubtful()}
    return StoredEntry(stored.manifest, found, stamp, sums)


def stamped(folder: Path) -> dict[str, str]:
    """Return mode, size and modification time of every file in a folder of the store."""
    return {
        name: f"{found.st_mode & 0o7777:o} {found.st_size} {found.st_mtime_ns}"
        for name, found in _stats(folder, "")
        if name not in (MANIFEST, STAMP)
    }


def answers(url: str) -> bool:
    """Return whether a URL answers within 5 seconds. Raises LabError if the environment names a
    proxy that cannot be used."""
    found: list[bool] = []
    proxies = web.proxies()
    # A thread, because the machine's resolver may take any time to look up the name.
    asking = threading.Thread(
        target=lambda: found.append(web.answers(url, _PROBE_S, proxies)), daemon=True
    )
    asking.start()
    asking.join(_PROBE_S)
    return True in found


def go_version() -> tuple[int, ...]:
    """Return the version of Go on this machine, such as `(1, 26, 8)`, or `()` without Go."""
    path = f"{os.environ.get('PATH', os.defpath)}:{GO_FOLDER}"
    said = try_ask(["go", "env", "GOVERSION"], {**os.environ, "PATH": path, "GOTOOLCHAIN": "local"})
    found = re.match(r"go(\d+(?:\.\d+)*)(?!\w)", said.text.strip())
    return tuple(int(part) for part in found[1].split(".")) if found else ()


def this_arch() -> Arch:
    """Return the architecture of this machine.

    Raises Undecided if there are no artifacts for it.
    """
    machine = os.uname().machine
    if machine not in _ARCHES:
        raise Undecided(f"there are no artifacts for processors of the kind {machine}")
    return _ARCHES[machine]


def _labels(images: list[str]) -> dict[str, dict[str, str]]:
    if not images:
        return {}
    said = ask_docker("image", "inspect", "--format", _IMAGE, *images)
    found: dict[str, dict[str, str]] = {}
    # For missing images, docker prints nothing, or an empty line.
    for line in filter(None, said.text.splitlines()):
        tags, labels = map(json.loads, line.split("\t"))
        found |= dict.fromkeys(tags, labels or {})
    return found


def _stats(folder: Path, below: str) -> Iterator[tuple[str, os.stat_result]]:
    try:
        found = list(os.scandir(folder / below))
    except OSError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from _stats(folder, f"{below}{entry.name}/")
        elif entry.is_file(follow_symlinks=False):
            yield f"{below}{entry.name}", entry.stat(follow_symlinks=False)


def _manifest(text: bytes) -> Mapping[str, Any]:
    # An unreadable manifest describes nothing, so the entry is made anew.
    try:
        manifest = json.loads(text)
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}


def _sum(file: Path) -> str:
    try:
        return sha256(file)
    except OSError:
        return ""
