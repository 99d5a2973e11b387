"""Facts about the store of artifacts, and about where more could come from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pyinfra.api import FactBase, StringCommand
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from sopslab.artifacts.catalog import Arch, Entry, Image
from sopslab.provision.command import script
from sopslab.provision.facts.parsing import parsing

_ARCHES: Mapping[str, Arch] = {"x86_64": "amd64", "aarch64": "arm64"}

# One process for all the manifests and one for all the files: a few milliseconds.
_LOOK = r"""
root=$1; shift
printf 'arch\t%s\n' "$(uname -m)"
docker image inspect --format 'image	{{json .RepoTags}}	{{json .Config.Labels}}' "$@" \
    2>/dev/null || true
cd "$root" 2>/dev/null || exit 0
grep -sH '' source store/*/manifest.json store/*/stamp || true
find store -mindepth 2 -type f -printf 'file\t%P\t%m %s %T@\n' 2>/dev/null || true
find bin -type l -printf 'link\t%f\t%l\n' 2>/dev/null || true
[ ! -d cache ] || find cache -mindepth 1 -maxdepth 1 ! -name '*.lock' -printf 'cache\t%f\n'
"""


@dataclass(frozen=True)
class StoredEntry:
    """A folder of the store: its manifest, the files in it now, and what they were when stored."""

    manifest: Mapping[str, Any]
    files: Mapping[str, str]
    stamp: Mapping[str, str]

    def doubtful(self) -> list[str]:
        """Return the files whose mode, size or time changed."""
        sums = self.manifest.get("files", {})
        return [
            file for file in sums if file in self.files and self.files[file] != self.stamp.get(file)
        ]


@dataclass(frozen=True)
class Store:
    """What a machine has of all that the catalog names.

    `source` is what the store was filled from, empty while it is not decided; `links` are those of
    the bin folder; `images` maps references to their `sops-lab.recipe`; `cache` lists what is kept
    only while the store is being filled; `sums` are those of `doubtful` files, once somebody saw.
    """

    arch: Arch
    source: str = ""
    entries: Mapping[str, StoredEntry] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)
    images: Mapping[str, str] = field(default_factory=dict)
    cache: tuple[str, ...] = ()
    sums: Mapping[str, str] = field(default_factory=dict)

    def doubtful(self) -> list[str]:
        """Return the files, by path in the store, whose sums have to be seen."""
        return [
            f"{key}/{file}" for key, stored in self.entries.items() for file in stored.doubtful()
        ]

    def fault(self, entry: Entry) -> str | None:
        """Return what is wrong with an entry of the store, or None."""
        stored = self.entries.get(entry.key)
        if stored is None:
            return f"{entry.key} is missing"
        known = dict(stored.manifest)
        files: Mapping[str, str] = known.pop("files", {})
        if known != entry.manifest:
            return f"{entry.key} was made by another recipe"
        doubtful = stored.doubtful()
        for file in sorted({*files, *entry.files}):
            path = f"{entry.key}/{file}"
            if file not in stored.files or file not in files:
                return f"{path} is missing"
            if file in doubtful and self.sums.get(path) != files[file]:
                return f"{path} is not what its manifest says"
            if file.startswith("bin/") and not int(stored.files[file].split()[0], 8) & 0o111:
                return f"{path} cannot be run"
        return None

    def has(self, image: Image) -> bool:
        """Return whether Docker has an image, made by the recipe that is wanted now."""
        return self.images.get(image.reference) == image.recipe


class StoreState(FactBase[Store]):
    """
    Returns what is in the store below `root`, and which of the `images` Docker has, as a `Store`.
    """

    @override
    def command(self, root: str, images: list[str]) -> StringCommand:
        return script(_LOOK, root, *images)

    @override
    def process(self, output: list[str]) -> Store:
        try:
            return _parse(output)
        except (KeyError, ValueError) as error:
            raise FactProcessError(f"the store was described in an unknown way: {error}") from error


def _parse(output: list[str]) -> Store:
    arch: Arch | None = None
    texts: dict[str, list[str]] = {}
    files: dict[str, dict[str, str]] = {}
    links: dict[str, str] = {}
    images: dict[str, str] = {}
    cache: list[str] = []
    for line in output:
        match line.split("\t"):
            case ["arch", machine]:
                arch = _ARCHES[machine]
            case ["image", tags, labels]:
                recipe = (json.loads(labels) or {}).get("sops-lab.recipe", "")
                images.update(dict.fromkeys(json.loads(tags), recipe))
            case ["file", path, stat]:
                key, file = path.split("/", 1)
                files.setdefault(key, {})[file] = stat
            case ["link", link, target]:
                links[link] = target
            case ["cache", item]:
                cache.append(item)
            case [""]:
                # What docker says instead of an image that it does not have.
                continue
            case _:
                file, text = line.split(":", 1)
                texts.setdefault(file, []).append(text)
    if arch is None:
        raise ValueError("no architecture")
    entries = {
        key: StoredEntry(
            _manifest(texts.get(f"store/{key}/manifest.json", [])),
            found,
            dict(line.split("\t") for line in texts.get(f"store/{key}/stamp", [])),
        )
        for key, found in files.items()
    }
    return Store(arch, "".join(texts.get("source", [])), entries, links, images, tuple(cache))


def _manifest(lines: list[str]) -> Mapping[str, Any]:
    # A manifest that cannot be read describes nothing, so its entry is made anew.
    try:
        manifest = json.loads("\n".join(lines))
    except ValueError:
        return {}
    return manifest if isinstance(manifest, dict) else {}


class StoreSums(FactBase[dict[str, str]]):
    """
    Returns the SHA-256 sums of `files` in the store below `root`.

    .. code:: python

        {"sops-3.13.3/bin/sops": "e5bec334…"}
    """

    default = dict

    @override
    def command(self, root: str, files: list[str]) -> StringCommand:
        return script('cd "$1/store"; shift; sha256sum -- "$@"', root, *files)

    @override
    @parsing
    def process(self, output: list[str]) -> dict[str, str]:
        return {path: total for total, path in (line.split("  ", 1) for line in output)}


class Answers(FactBase[bool]):
    """
    Returns whether `url` answers within 5 seconds.
    """

    @override
    def command(self, url: str) -> StringCommand:
        return script(
            'curl --fail --silent --head --location --max-time 5 --output /dev/null "$1" \\\n'
            "    && echo yes || echo no",
            url,
        )

    @override
    def process(self, output: list[str]) -> bool:
        return output == ["yes"]


class GoVersion(FactBase[tuple[int, ...]]):
    """
    Returns the version of Go on the host's path, such as `(1, 26, 8)`, or `()` without one.
    """

    default = tuple

    @override
    def command(self) -> StringCommand:
        return script('PATH="$PATH:/usr/local/go/bin" GOTOOLCHAIN=local go env GOVERSION || true')

    @override
    def process(self, output: list[str]) -> tuple[int, ...]:
        version = (output[-1] if output else "").removeprefix("go").split()
        parts = version[0].split(".") if version else []
        return tuple(int(part) for part in parts if part.isdigit())
