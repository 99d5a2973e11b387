"""Flux Kustomizations: whether their path exists, and whether they can decrypt what lies there.

A path can only be looked up if the source is this very repository. That is known if the source's
URL has the same path as one of the repository's remotes. It is also known if the source is
`flux-system`, which `flux bootstrap` keeps in the repository that it points to. If no file here
defines the source, a path that begins with a folder of this repository is looked up, too.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sopslab.layout import FLUX_NAMESPACE, KEY_SECRET
from sopslab.policy.findings import Finding
from sopslab.validation.findings import finding
from sopslab.validation.kustomizations import is_remote
from sopslab.validation.objects import Object, Reader, at, group_of
from sopslab.validation.overlays import Overlays, environment_of
from sopslab.validation.tree import Tree, is_below, is_yaml

GROUP = "kustomize.toolkit.fluxcd.io"
_SOURCES = "source.toolkit.fluxcd.io"
_USUAL_BRANCHES = ("main", "master")
_PROVIDER = "sops"
_DECRYPT = "kustomize.toolkit.fluxcd.io/decrypt"
_DEPTH = re.compile(r"^(?:[a-z+]+://[^/]+/|[^/@]+@[^/:]+:)", re.IGNORECASE)


@dataclass(frozen=True)
class Reconciled:
    """A Flux Kustomization, and whether its source is this repository (None: cannot be told)."""

    written: Object
    is_here: bool | None
    source: Object | None = None
    """Its GitRepository, if that is in the tree."""

    @property
    def ignore(self) -> str:
        """What its source leaves out of the artifact."""
        return self.source.text("spec", "ignore") if self.source is not None else ""

    @property
    def path(self) -> str:
        """Its path relative to the top, as Flux joins it; it begins with `..` if it leads out."""
        return _joined(self.written.text("spec", "path"))

    def path_in(self, spec: Mapping[str, Any]) -> str:
        """Return the path in *spec*, in which variables may already be substituted."""
        said = spec.get("path")
        return _joined(said) if isinstance(said, str) else self.path


def _joined(path: str) -> str:
    return posixpath.normpath(path.lstrip("/") or ".")


def find(reader: Reader) -> list[Reconciled]:
    """Return the Flux Kustomizations of a tree."""
    found: list[Object] = []
    repositories: list[Object] = []
    for path in sorted(filter(is_yaml, reader.tree.files)):
        data = reader.tree.read(path) or b""
        if GROUP.encode() not in data and _SOURCES.encode() not in data:
            continue
        for one in reader.file(path).objects:
            group = group_of(one.api_version)
            if group == GROUP and one.kind == "Kustomization":
                found.append(one)
            elif group == _SOURCES and one.kind == "GitRepository":
                repositories.append(one)
    sources = [_source(one, repositories) for one in found]
    return [
        Reconciled(one, _is_here(one, source, reader.tree.remotes, reader.tree.branches), source)
        for one, source in zip(found, sources, strict=True)
    ]


def _source(written: Object, repositories: Sequence[Object]) -> Object | None:
    name = written.text("spec", "sourceRef", "name")
    namespace = written.text("spec", "sourceRef", "namespace") or written.namespace
    found = [
        one
        for one in repositories
        if one.name == name and (not namespace or one.namespace in ("", namespace))
    ]
    # If several clusters define the source, take the definition whose path is closest.
    return max(found, key=lambda one: _shared(one.path, written.path), default=None)


def _shared(one: str, other: str) -> int:
    return len(posixpath.commonprefix((one, other)))


def _is_here(
    written: Object, source: Object | None, remotes: Sequence[str], branches: Sequence[str]
) -> bool | None:
    if written.text("spec", "sourceRef", "kind") != "GitRepository":
        return False
    name = written.text("spec", "sourceRef", "name")
    own = {_url_path(remote) for remote in remotes}
    if name == FLUX_NAMESPACE:
        return True
    if source is not None and _url_path(source.text("spec", "url")) in own:
        # Another branch of this repository has another tree.
        branch = source.text("spec", "ref", "branch")
        return not branch or branch in (*_USUAL_BRANCHES, *branches)
    return None if source is None else False


def _url_path(url: str) -> str:
    """Return the path of a Git URL, without the host, which has another name inside a cluster."""
    return _DEPTH.sub("", url).strip("/").removesuffix(".git").lower()


def applied_paths(reconciled: Sequence[Reconciled]) -> Iterator[str]:
    """Yield the paths of this repository that Flux applies."""
    return (one.path for one in reconciled if one.is_here)


def check(
    reconciled: Reconciled,
    spec: Mapping[str, Any],
    overlays: Overlays,
    reader: Reader,
    namespaces: Mapping[str, str | None],
    encrypted: bool,
    patched: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with a Flux Kustomization.

    + spec: its spec as it is applied; the build that applies it may have changed it
    + namespaces: the namespace of each environment
    + encrypted: whether it applies objects that Flux has to decrypt
    + patched: whether any Flux Kustomization adds decryption to others by a patch
    """
    written, path = reconciled.written, reconciled.path_in(spec)
    if path == ".." or path.startswith("../"):
        text = "spec.path leads out of the repository"
        yield finding(written.path, written.line_at("spec", "path"), "flux-path-escape", text)
        return
    tree = reader.tree
    # A source that no file here defines counts as this repository if the path begins in it.
    looked_up = reconciled.is_here or (
        reconciled.is_here is None and path.partition("/")[0] in tree.folders
    )
    if looked_up and path not in tree.folders:
        what = "is a file" if path in tree.files else "does not exist in this repository"
        if any(is_below(one, path) for one in tree.left_out):
            what = "is in no artifact: the source leaves it out"
        text = f"the folder {path} of spec.path {what}"
        yield finding(written.path, written.line_at("spec", "path"), "flux-path-missing", text)
    elif looked_up:
        yield from _components(reconciled, spec, overlays, tree)
    is_environment = namespaces.get(environment_of(f"{path}/")) is not None
    if is_environment or encrypted:
        yield from _decryption(written, spec, is_environment, patched)


def _components(
    reconciled: Reconciled, spec: Mapping[str, Any], overlays: Overlays, tree: Tree
) -> Iterator[Finding]:
    listed = spec.get("components")
    for index, text in enumerate(listed if isinstance(listed, list) else ()):
        if not isinstance(text, str):
            continue
        line = reconciled.written.line_at("spec", "components", str(index))
        if is_remote(text):
            text = "a component is outside of the repository"
            yield finding(reconciled.written.path, line, "remote-base", text)
            continue
        folder = posixpath.normpath(posixpath.join(reconciled.path_in(spec), text))
        if folder in overlays.with_file:
            continue
        if folder not in tree.folders and spec.get("ignoreMissingComponents") is True:
            continue
        what = "has no kustomization.yaml" if folder in tree.folders else "does not exist"
        text = f"the component {folder} {what}"
        yield finding(reconciled.written.path, line, "flux-component-missing", text)


def is_encrypted(one: Object) -> bool:
    """True if Flux has to decrypt an object, and not the controller of the object's own kind."""
    group = group_of(one.api_version)
    own = "." not in group or group.endswith((".k8s.io", ".fluxcd.io"))
    disabled = one.text("metadata", "annotations", _DECRYPT).lower() == "disabled"
    return one.is_encrypted and own and not disabled


def _decryption(
    written: Object, spec: Mapping[str, Any], is_environment: bool, patched: bool
) -> Iterator[Finding]:
    decryption = spec.get("decryption")
    if not isinstance(decryption, dict) or not decryption:
        if not patched:
            text = "its path holds encrypted files, and decryption is not set"
            line = written.line_at("spec")
            yield finding(written.path, line, "decryption-missing", text)
        return
    if decryption.get("provider") != _PROVIDER:
        text = "the decryption provider is not sops"
        line = written.line_at("spec", "decryption", "provider")
        yield finding(written.path, line, "decryption-provider", text)
    name = str(at(decryption, "secretRef", "name") or "")
    # Environments have to use the lab's key; elsewhere the key may have another name.
    if is_environment and name != KEY_SECRET:
        line = written.line_at("spec", "decryption", "secretRef", "name")
        text = f"the key is taken from the Secret {name!r}" if name else "no key is named"
        yield finding(written.path, line, "decryption-secret", f"{text}; the lab's is {KEY_SECRET}")
