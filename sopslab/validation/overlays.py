"""The overlays of a tree: what is built as a whole, and which files go into it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from sopslab.layout import SECRETS
from sopslab.policy import documents
from sopslab.policy.documents import Node
from sopslab.policy.sources import KUSTOMIZATION_NAMES
from sopslab.validation.kustomizations import Reference, is_remote, references
from sopslab.validation.objects import Reader
from sopslab.validation.tree import is_below, is_yaml


def environment_of(path: str) -> str:
    """Return the environment that a file lies in, empty outside of `flux/secrets`.

    The path of a folder has to end with `/`.
    """
    parts = path.split("/")
    return parts[2] if path.startswith(f"{SECRETS}/") and len(parts) > 3 else ""


@dataclass(frozen=True)
class Overlay:
    """A folder that is built: by its kustomization, or from all manifests below it."""

    folder: str
    file: str | None
    """The kustomization, None where Flux makes one up."""
    node: Node | None
    references: tuple[Reference, ...]

    @property
    def is_component(self) -> bool:
        """True for a Component, which is only built as a part of other overlays."""
        return documents.text_of(documents.get(self.node, "kind")) == "Component"

    def has(self, field: str) -> bool:
        """True if the kustomization has a field."""
        return any(key == field for key, _, _ in documents.entries(self.node))

    def line_of(self, field: str) -> int:
        """Return the line of a field of the kustomization, 1 without it."""
        for key, key_node, _ in documents.entries(self.node):
            if key == field:
                return documents.line_of(key_node)
        return 1

    @property
    def place(self) -> str:
        """The path to name in a finding about the whole overlay."""
        return self.file or self.folder


class Overlays:
    """All overlays of a tree, including those for which Flux makes up a kustomization."""

    def __init__(self, reader: Reader, paths: Iterable[str] = ()) -> None:
        """Find them; `paths` are folders that Flux is told to apply."""
        self._reader, self._tree = reader, reader.tree
        self.by_folder: dict[str, Overlay] = {}
        for name in reversed(KUSTOMIZATION_NAMES):
            for path in sorted(self._tree.files):
                if posixpath.basename(path) == name:
                    overlay = self._written(path)
                    self.by_folder[overlay.folder] = overlay
        environments = {
            f"{SECRETS}/{environment_of(path)}"
            for path in self._tree.files
            if environment_of(path) and is_yaml(path)
        }
        self.applied = {path for path in paths if path in self._tree.folders} | environments
        for folder in sorted(self.applied - self.by_folder.keys()):
            self.by_folder[folder] = self._made_up(folder)

    def _written(self, path: str) -> Overlay:
        folder = posixpath.dirname(path) or "."
        parsed = self._reader.file(path).documents
        node = parsed[0] if len(parsed) == 1 else None
        if node is None or documents.get(node, "sops") is not None:
            return Overlay(folder, path, node, ())
        return Overlay(folder, path, node, tuple(references(node, folder)))

    def _made_up(self, folder: str) -> Overlay:
        """Return the overlay that Flux makes up for a folder without a kustomization.

        Source: fluxcd/pkg, kustomize_generator.go, scanManifests.
        """
        inner = [
            other.folder
            for other in self.by_folder.values()
            if other.file and other.folder != folder and is_below(other.folder, folder)
        ]
        inner = [one for one in inner if not any(one != o and is_below(one, o) for o in inner)]
        found = [
            path
            for path in self._tree.below(folder)
            if is_yaml(path) and not any(is_below(path, other) for other in inner)
        ]
        entries = sorted([*found, *inner])
        made = (posixpath.relpath(entry, folder) for entry in entries)
        return Overlay(
            folder, None, None, tuple(Reference("resources", text, 1, folder) for text in made)
        )

    @cached_property
    def with_file(self) -> frozenset[str]:
        """The folders that have a kustomization of their own."""
        return frozenset(folder for folder, one in self.by_folder.items() if one.file is not None)

    @cached_property
    def _listed(self) -> frozenset[str]:
        return frozenset(
            reference.target for one in self.by_folder.values() for reference in one.references
        )

    def passes_over(self, path: str) -> bool:
        """Return whether a kustomization is in a file's folder, and none refers to the file."""
        return posixpath.dirname(path) in self.with_file and path not in self._listed

    def included(self, overlay: Overlay) -> Iterator[Overlay]:
        """Yield the overlays that *overlay* refers to."""
        for reference in overlay.references:
            if reference.may_be_folder and not is_remote(reference.text):
                other = self.by_folder.get(reference.target)
                if other is not None:
                    yield other

    def closure(self, overlay: Overlay) -> list[Overlay]:
        """Return an overlay and all that it includes, however indirectly."""
        found = {overlay.folder: overlay}
        waiting = [overlay]
        while waiting:
            for other in self.included(waiting.pop()):
                if other.folder not in found:
                    found[other.folder] = other
                    waiting.append(other)
        return list(found.values())

    def files(self, overlay: Overlay) -> list[str]:
        """Return the files of the tree that go into an overlay, without kustomizations."""
        found = {
            reference.target
            for part in self.closure(overlay)
            for reference in part.references
            if reference.target in self._tree.files
        }
        return sorted(found)

    @cached_property
    def roots(self) -> list[Overlay]:
        """The overlays to build: those that Flux applies, and those that no other one includes.

        A base is built as a part of the overlays that include it, as Flux does.
        """
        inner = {
            other.folder for overlay in self.by_folder.values() for other in self.included(overlay)
        }
        chosen = {
            folder
            for folder, overlay in self.by_folder.items()
            if not overlay.is_component and (folder in self.applied or folder not in inner)
        }
        reached = {
            part.folder for folder in chosen for part in self.closure(self.by_folder[folder])
        }
        for folder, overlay in sorted(self.by_folder.items()):
            # Overlays that include each other in a circle have no beginning.
            if folder not in reached and not overlay.is_component:
                chosen.add(folder)
                reached |= {part.folder for part in self.closure(overlay)}
        return [self.by_folder[folder] for folder in sorted(chosen)]

    @cached_property
    def scope(self) -> list[str]:
        """The YAML files to check, without kustomizations.

        These are the files that an overlay refers to, those in its folder, and all below `flux`.
        """
        found = {path for overlay in self.by_folder.values() for path in self.files(overlay)}
        for overlay in self.by_folder.values():
            found.update(self._tree.in_folder(overlay.folder))
        found.update(self._tree.below("flux"))
        return sorted(
            path
            for path in found
            if is_yaml(path) and posixpath.basename(path) not in KUSTOMIZATION_NAMES
        )
