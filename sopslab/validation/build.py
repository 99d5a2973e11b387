"""Build an overlay as kustomize-controller does, with the kustomize that is part of kubectl.

The controller loads files from anywhere in the repository (fluxcd/pkg, kustomize_generator.go:
LoadRestrictionsNone on a file system that ends at the top), without plugins, Helm and remote bases.
What leaves the repository has to be found before: kubectl itself would follow it.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sopslab.errors import LabError
from sopslab.policy.documents import Mapping
from sopslab.validation.objects import plain
from sopslab.validation.overlays import Overlay

__all__ = ["Built", "Manifest", "build"]

Manifest = dict[str, Any]

_PATIENCE = 60  # seconds for one build
_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_EMPTY = "kustomization.yaml is empty"

# kustomize repeats what it could not use, values included. So only these messages are shown, as
# far as they name files, fields and objects.
_NAME = r"[A-Za-z0-9./_\[\]~|-]{1,200}"
_MESSAGES = (
    (re.compile(rf"may not add resource with an already registered id: ({_NAME})"),
     "duplicate-object", "two objects have the same id: {0}"),
    (re.compile(r"cycle detected"),
     "build-failed", "kustomizations include each other in a circle"),
    (re.compile(rf'unknown field "({_NAME})"'),
     "build-failed", "the kustomization has a field that kustomize does not know: {0}"),
    (re.compile(rf"cannot unmarshal (\w+) into Go struct field ({_NAME}) of type ({_NAME})"),
     "build-failed", "{1} is of the wrong type: {0} instead of {2}"),
    (re.compile(rf"no resource matches strategic merge patch \"?({_NAME})"),
     "build-failed", "a patch is for an object that is not there: {0}"),
    (re.compile(rf"no matches for Id ({_NAME}); failed to find unique target for patch"),
     "build-failed", "a patch is for an object that is not there: {0}"),
    (re.compile(r"unable to parse SM or JSON patch"),
     "build-failed", "a patch is neither a strategic merge patch nor a JSON patch"),
    (re.compile(r"expected kind != '' but found"),
     "build-failed", "a component is listed under resources, or a resource under components"),
    (re.compile(r"accumulating components.*expected kind 'Component'"),
     "build-failed", "a kustomization is listed under components, but is not a Component"),
    (re.compile(r"missing metadata\.name"),
     "not-an-object", "an object has no metadata.name"),
    (re.compile(r"Object 'Kind' is missing|missing kind"),
     "not-an-object", "a document has no kind"),
    (re.compile(r"trouble configuring builtin (\w+)"),
     "build-failed", "{0} cannot be used as it is written"),
)  # fmt: skip


@dataclass(frozen=True)
class Built:
    """What came of an overlay: objects, or a rule and a message."""

    overlay: Overlay
    objects: tuple[Manifest, ...] = ()
    rule: str = ""
    message: str = ""


def build(overlay: Overlay, root: Path, kubectl: str) -> Built:
    """Build an overlay. Raises LabError if kubectl cannot be run."""
    if overlay.file is not None:
        return _run(overlay, root / overlay.folder, kubectl)
    with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as folder:
        there = Path(folder).resolve()
        listed = [
            os.path.relpath(root.resolve() / reference.target, there)
            for reference in overlay.references
        ]
        (there / "kustomization.yaml").write_text(yaml.safe_dump({"resources": listed}))
        return _run(overlay, there, kubectl)


def _run(overlay: Overlay, folder: Path, kubectl: str) -> Built:
    command = [kubectl, "kustomize", str(folder), "--load-restrictor=LoadRestrictionsNone"]
    # There is no git to fetch a base with, and no kubeconfig to read.
    environment = {"PATH": os.devnull, "HOME": os.devnull, "KUBECONFIG": os.devnull}
    try:
        done = subprocess.run(
            command, capture_output=True, env=environment, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired:
        message = f"kustomize did not finish within {_PATIENCE} s"
        return Built(overlay, rule="build-failed", message=message)
    except OSError as error:
        raise LabError(f"kubectl cannot be run: {error.strerror}") from None
    if done.returncode == 0:
        return Built(overlay, tuple(_load(done.stdout.decode("utf-8", "replace"))))
    return _failed(overlay, done.stderr.decode("utf-8", "replace"))


def _failed(overlay: Overlay, answer: str) -> Built:
    # Flux gives an empty kustomization some metadata, so that it builds to nothing.
    if _EMPTY in answer:
        return Built(overlay)
    for pattern, rule, message in _MESSAGES:
        match = pattern.search(answer)
        if match:
            return Built(overlay, rule=rule, message=message.format(*match.groups()))
    message = f"kustomize cannot build it; kubectl kustomize {overlay.folder} says why"
    return Built(overlay, rule="build-failed", message=message)


def _load(text: str) -> Iterator[Manifest]:
    """Yield the objects of a stream of YAML documents."""
    for node in yaml.compose_all(text, Loader=_Loader):
        if isinstance(node, Mapping):
            yield plain(node)
