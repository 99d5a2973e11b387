"""Build what Flux would, with Flux's own builder: `flux build kustomization --dry-run`.

The builder gets what a Flux Kustomization says about the build: patches, components, variables. It
reads no file outside of its working folder, and asks no cluster. Variables from ConfigMaps and
Secrets are looked up before the build (`variables`).
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from sopslab.model.yaml_loader import LOADER
from sopslab.policy import documents
from sopslab.validation import confined
from sopslab.validation.marks import Marks
from sopslab.validation.objects import at, plain
from sopslab.validation.roots import Root

Manifest = dict[str, Any]

_NAME = "sopslab-validate"
_OWNER = "kustomize.toolkit.fluxcd.io"
_KEPT = (
    *("targetNamespace", "namePrefix", "nameSuffix", "patches", "patchesStrategicMerge"),
    *("patchesJson6902", "components", "ignoreMissingComponents", "images", "commonMetadata"),
    "buildMetadata",
)
"""The fields of a Flux Kustomization that affect a build; variables come from `variables`."""
_MAX_TRIES = 50
"""How often one overlay is built at most: each build reports only one missing variable."""

# Messages of Flux and kustomize repeat what they could not use, including values. So only the
# messages below are shown, with no more than the names of files, fields and objects in them.
_WORD = r"[A-Za-z0-9./_\[\]~|-]{1,200}"
_MISSING = re.compile(r'variable not set \(strict mode\): "(\w{1,100})"')
_INVALID = re.compile(r"'([A-Za-z0-9._-]{1,100})' var name is invalid")
# The name of an object may itself contain a variable.
_SUBSTITUTING = re.compile(r"var substitution failed for '([A-Za-z0-9._${}:=-]{1,200})'")
_MESSAGES = (
    (re.compile(rf"may not add resource with an already registered id: ({_WORD})"),
     "duplicate-object", "two objects have the same id: {0}"),
    (re.compile(r"cycle detected"),
     "build-failed", "kustomizations include each other in a circle"),
    (re.compile(rf'unknown field "({_WORD})"'),
     "build-failed", "the kustomization has a field that kustomize does not know: {0}"),
    (re.compile(rf"cannot unmarshal (\w+) into Go struct field ({_WORD}) of type ({_WORD})"),
     "build-failed", "{1} is of the wrong type: {0} instead of {2}"),
    (re.compile(rf"no resource matches strategic merge patch \"?({_WORD})"),
     "build-failed", "a patch is for an object that is not there: {0}"),
    (re.compile(rf"no matches for Id ({_WORD}); failed to find unique target for patch"),
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
    (re.compile(rf"failed to decode Kubernetes YAML from ({_WORD}): "),
     "not-an-object", "{0} is not a Kubernetes object, and nothing says what to apply instead"),
    (re.compile(r"kustomization.yaml is empty"),
     "build-failed", "a kustomization that is included is empty"),
    (re.compile(rf"component path '({_WORD})' must be local"),
     "remote-base", "the component {0} is outside of the repository"),
    (re.compile(rf"unable to find one of [^:]*in directory '({_WORD})'"),
     "build-failed", "the folder {0} has no kustomization.yaml"),
    (re.compile(rf"(?:evalsymlink failure|lstat|open|stat)[^\n]*?({_WORD})'?[^\n/]*no such file"),
     "build-failed", "{0} is not there for Flux"),
    (re.compile(r"illegal base64 data"),
     "build-failed", "a value under data of a Secret is not base64"),
)  # fmt: skip


@dataclass(frozen=True)
class Missing:
    """A variable that is not set, or whose name Flux refuses, and the object that uses it."""

    variable: str
    object: str
    is_invalid: bool = False


@dataclass(frozen=True)
class Built:
    """The result of building a root: objects with marks in them, or a rule and a message."""

    root: Root
    objects: tuple[Manifest, ...] = ()
    rule: str = ""
    message: str = ""
    missing: tuple[Missing, ...] = field(default=())
    is_marked: bool = True
    """False if nothing could be built, so that the objects are those that are written."""


def build(root: Root, variables: Mapping[str, str], folder: Path, marks: Marks, flux: str) -> Built:
    """Build a root in the folder where its files are laid out.

    + variables: what is substituted after the build

    Raises LabError if flux cannot be run.
    """
    known = dict(variables)
    missing: list[Missing] = []
    for _ in range(_MAX_TRIES):
        ran = _run(root, known, folder, marks, flux)
        if ran.refusal:
            return Built(
                root, rule="build-failed", message=f"a build {ran.refusal}", missing=(*missing,)
            )
        if ran.code == 0:
            return Built(root, tuple(_load(ran.output)), missing=(*missing,))
        found = _missing(ran.errors)
        if found is None or found in missing:
            break
        missing.append(found)
        if found.is_invalid:
            known.pop(found.variable, None)
        else:
            known[found.variable] = marks.variable(found.variable)
    rule, message = _failed(root, ran.errors.replace(f"{folder}/", ""))
    return Built(root, rule=rule, message=message, missing=(*missing,))


def _run(
    root: Root, variables: Mapping[str, str], folder: Path, marks: Marks, flux: str
) -> confined.Ran:
    spec: dict[str, Any] = {key: root.spec[key] for key in _KEPT if root.spec.get(key) is not None}
    if isinstance(root.spec.get("postBuild"), dict):
        strategy = root.spec["postBuild"].get("substituteStrategy")
        spec["postBuild"] = {"substitute": dict(variables)}
        spec["postBuild"] |= {"substituteStrategy": strategy} if strategy else {}
    manifest = {
        "apiVersion": f"{_OWNER}/v1",
        "kind": "Kustomization",
        "metadata": {"name": _NAME, "namespace": _NAME},
        "spec": spec,
    }
    with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as own:
        file = Path(own).resolve() / "kustomization.json"
        file.write_bytes(marks.marked(json.dumps(manifest).encode(), root.place))
        options = ("--dry-run", "--strict-substitute", "--in-memory-build")
        command = [flux, "build", "kustomization", _NAME, f"--namespace={_NAME}", *options]
        places = [f"--path={folder / root.overlay.folder}", f"--kustomization-file={file}"]
        return confined.run([*command, *places], folder)


def _missing(answer: str) -> Missing | None:
    """Return the variable that a build failed for, None if it failed for another reason."""
    where = _SUBSTITUTING.search(answer)
    if where is None:
        return None
    for pattern, is_invalid in ((_MISSING, False), (_INVALID, True)):
        match = pattern.search(answer)
        if match:
            return Missing(match[1], where[1], is_invalid)
    return None


def _failed(root: Root, answer: str) -> tuple[str, str]:
    """Return the rule and the message for what flux said."""
    where = _SUBSTITUTING.search(answer)
    if where is not None:
        text = f"an expression ${{…}} in {where[1]} cannot be substituted, or not into YAML"
        return "substitution", text
    for pattern, rule, message in _MESSAGES:
        match = pattern.search(answer)
        if match:
            return rule, message.format(*match.groups())
    return (
        "build-failed",
        f"it cannot be built; kubectl kustomize {root.overlay.folder} may say why",
    )


def _load(text: str) -> Iterator[Manifest]:
    """Yield the objects of a stream of YAML documents, without the owner's labels of Flux."""
    for node in yaml.compose_all(text, Loader=LOADER):
        if isinstance(node, documents.Mapping):
            manifest = plain(node)
            if manifest.get("kind") == "Secret" and manifest.get("apiVersion") == "v1":
                _as_text(manifest)
            labels = at(manifest, "metadata", "labels")
            if isinstance(labels, dict):
                for key in (f"{_OWNER}/name", f"{_OWNER}/namespace"):
                    if labels.get(key) == _NAME:
                        del labels[key]
                if not labels:
                    del manifest["metadata"]["labels"]
            yield manifest


def _as_text(secret: Manifest) -> None:
    """Turn the values of a Secret back into text: flux takes off quotes when it hides values."""
    for section in ("data", "stringData"):
        content = secret.get(section)
        if isinstance(content, dict):
            numbers = {k: v for k, v in content.items() if isinstance(v, (bool, int, float))}
            content.update({key: str(value) for key, value in numbers.items()})
