"""Flux Kustomizations: whether their path exists, and whether they can decrypt what lies there.

A path can only be looked up if the source is this very repository. That is known when the source's
URL ends like one of the repository's remotes, or when it is `flux-system`, which `flux bootstrap`
keeps in the repository that it points to. If a
source is defined elsewhere, a path that begins with a folder of this repository is looked up, too.
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
from sopslab.validation.objects import Object, Reader, group_of
from sopslab.validation.overlays import Overlays, environment_of
from sopslab.validation.tree import is_yaml

__all__ = ["GROUP", "Reconciled", "applied_paths", "check", "find"]

GROUP = "kustomize.toolkit.fluxcd.io"
_SOURCES = "source.toolkit.fluxcd.io"
_PROVIDER = "sops"
_DEPTH = re.compile(r"^(?:[a-z+]+://[^/]+/|[^/@]+@[^/:]+:)", re.IGNORECASE)


@dataclass(frozen=True)
class Reconciled:
    """A Flux Kustomization, and whether its source is this repository (None: cannot be told)."""

    written: Object
    is_here: bool | None

    @property
    def path(self) -> str:
        """Its path relative to the top, as Flux joins it; it begins with `..` if it leads out."""
        text = self.written.text("spec", "path").lstrip("/") or "."
        return posixpath.normpath(text)


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
    return [Reconciled(one, _is_here(one, repositories, reader.tree.remotes)) for one in found]


def _is_here(
    written: Object, repositories: Sequence[Object], remotes: Sequence[str]
) -> bool | None:
    if written.text("spec", "sourceRef", "kind") != "GitRepository":
        return False
    name = written.text("spec", "sourceRef", "name")
    namespace = written.text("spec", "sourceRef", "namespace") or written.namespace
    source = next(
        (
            one
            for one in repositories
            if one.name == name and (not namespace or one.namespace in ("", namespace))
        ),
        None,
    )
    own = {_url_path(remote) for remote in remotes}
    if source is not None and _url_path(source.text("spec", "url")) in own:
        return True
    if name == FLUX_NAMESPACE:
        return True
    return None if source is None else False


def _url_path(url: str) -> str:
    """Return the path of a Git URL: the same repository has other host names inside a cluster."""
    return _DEPTH.sub("", url).strip("/").removesuffix(".git").lower()


def applied_paths(reconciled: Sequence[Reconciled]) -> Iterator[str]:
    """Yield the paths of this repository that Flux applies."""
    return (one.path for one in reconciled if one.is_here)


def check(
    reconciled: Reconciled,
    built: Mapping[str, Any] | None,
    overlays: Overlays,
    reader: Reader,
    patched: bool,
) -> Iterator[Finding]:
    """Yield what is wrong with a Flux Kustomization.

    + built: what kustomize made of it, if it is part of an overlay
    + patched: whether some Flux Kustomization gives decryption to others by a patch
    """
    written, path = reconciled.written, reconciled.path
    if path == ".." or path.startswith("../"):
        text = "spec.path leads out of the repository"
        yield finding(written.path, written.line_at("spec", "path"), "flux-path-escape", text)
        return
    tree = reader.tree
    # A source that is defined elsewhere is taken for this one if the path begins here.
    looked_up = reconciled.is_here or (
        reconciled.is_here is None and path.partition("/")[0] in tree.folders
    )
    if looked_up and path not in tree.folders:
        what = "is a file" if path in tree.files else "does not exist in this repository"
        text = f"the folder {path} of spec.path {what}"
        yield finding(written.path, written.line_at("spec", "path"), "flux-path-missing", text)
    encrypted = _is_encrypted(path, overlays, reader) if reconciled.is_here is not False else False
    if environment_of(f"{path}/") or encrypted:
        spec = built.get("spec") if built else None
        yield from _decryption(reconciled, spec if isinstance(spec, dict) else None, patched)


def _is_encrypted(path: str, overlays: Overlays, reader: Reader) -> bool:
    overlay = overlays.by_folder.get(path)
    files = overlays.files(overlay) if overlay else []
    return any(one.is_encrypted for one in reader.objects(list(filter(is_yaml, files))))


def _decryption(
    reconciled: Reconciled, spec: Mapping[str, Any] | None, patched: bool
) -> Iterator[Finding]:
    written = reconciled.written
    keys = ("provider", "secretRef")
    line = written.line_at("spec", "decryption", *keys[:1])
    if spec is not None:
        decryption = spec.get("decryption") or {}
        provider = str(decryption.get("provider") or "")
        name = str((decryption.get("secretRef") or {}).get("name") or "")
    else:
        provider = written.text("spec", "decryption", "provider")
        name = written.text("spec", "decryption", "secretRef", "name")
        decryption = provider or name
    if not decryption:
        if not patched:
            text = "its path holds encrypted files, and decryption is not set"
            line = written.line_at("spec")
            yield finding(written.path, line, "decryption-missing", text)
        return
    if provider != _PROVIDER:
        text = "the decryption provider is not sops"
        yield finding(written.path, line, "decryption-provider", text)
    # Elsewhere a key may have another name; the environments have the lab's.
    if environment_of(f"{reconciled.path}/") and name != KEY_SECRET:
        line = written.line_at("spec", "decryption", "secretRef", "name")
        text = f"the key is taken from the Secret {name!r}" if name else "no key is named"
        yield finding(written.path, line, "decryption-secret", f"{text}; the lab's is {KEY_SECRET}")
