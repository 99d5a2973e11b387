"""Find, without a build, what learners get wrong in kustomizations: files, folders and fields."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from sopslab.policy import documents
from sopslab.policy.documents import Mapping
from sopslab.policy.findings import Finding
from sopslab.policy.sources import KUSTOMIZATION_NAMES
from sopslab.validation.findings import finding
from sopslab.validation.kustomizations import LISTS, Reference, is_remote
from sopslab.validation.objects import File, Object, Reader, group_of
from sopslab.validation.overlays import Overlay, Overlays, environment_of
from sopslab.validation.tree import Tree, is_below, is_yaml

_VERSIONS = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_UNREADABLE = ("kustomization-invalid", "kustomization-encrypted")
# The fields that kustomize knows (api/types). Flux drops any other field, without a message, from
# the kustomization in its path.
_FIELDS = frozenset(
    (
        *("apiVersion", "kind", "metadata", "openapi", "namePrefix", "nameSuffix", "namespace"),
        *("commonLabels", "labels", "commonAnnotations", "patchesStrategicMerge", "patches"),
        *("patchesJson6902", "images", "imageTags", "replacements", "replicas", "vars", "bases"),
        *("sortOptions", "resources", "components", "crds", "configMapGenerator", "generators"),
        *("secretGenerator", "helmGlobals", "helmCharts", "helmChartInflationGenerator"),
        *("generatorOptions", "configurations", "transformers", "validators", "buildMetadata"),
    )
)
_GENERATOR = ("name", "namespace", "behavior", "literals", "files", "envs", "env", "options")
_INNER_FIELDS = {
    "patches": ("path", "patch", "target", "options"),
    "images": ("name", "newName", "newTag", "tagSuffix", "digest"),
    "configMapGenerator": _GENERATOR,
    "secretGenerator": (*_GENERATOR, "type"),
}
_HELM = ("helmCharts", "helmChartInflationGenerator", "helmGlobals")


def check_file(file: File) -> Iterator[Finding]:
    """Yield what keeps a YAML file from being read."""
    if file.error_line:
        lines = ["", *file.text.splitlines()]
        if re.match(r"\s*\t", lines[min(file.error_line, len(lines) - 1)]):
            text, fix = "a line is indented with a tab", "indent with spaces: YAML allows no tabs"
        else:
            text, fix = "this is not valid YAML", ""
        yield finding(file.path, file.error_line, "yaml-invalid", text, fix)
    for document in file.documents:
        for _, line in documents.duplicate_keys(document):
            text = "a key occurs twice in the same mapping"
            yield finding(file.path, line, "yaml-duplicate-key", text)


def check(overlay: Overlay, overlays: Overlays, reader: Reader) -> Iterator[Finding]:
    """Yield what is wrong with the kustomization of an overlay, and with what it refers to."""
    if overlay.file is not None:
        yield from _names(overlay, reader)
        file = reader.file(overlay.file)
        wrong = list(_form(overlay, file))
        yield from wrong
        if not file.error_line and not any(one.rule in _UNREADABLE for one in wrong):
            yield from _not_listed(overlay, overlays, reader)
    seen: dict[str, Reference] = {}
    for reference in overlay.references:
        yield from _reference(reference, overlay, overlays, reader)
        if reference.field in LISTS:
            first = seen.setdefault(reference.target, reference)
            if first is not reference:
                text = f"{_shown(reference.text)} is listed a second time (first in line "
                text += f"{first.line})"
                yield finding(overlay.place, reference.line, "listed-twice", text)


def _names(overlay: Overlay, reader: Reader) -> Iterator[Finding]:
    here = {posixpath.basename(path) for path in reader.tree.in_folder(overlay.folder)}
    names = [name for name in KUSTOMIZATION_NAMES if name in here]
    if len(names) > 1:
        text = f"the folder has both {names[0]} and {names[1]}"
        yield finding(overlay.place, 1, "kustomization-ambiguous", text)


def _form(overlay: Overlay, file: File) -> Iterator[Finding]:
    if file.error_line:
        return
    if len(file.documents) != 1 or not isinstance(file.documents[0], Mapping):
        text = "a kustomization is one YAML mapping"
        yield finding(file.path, 1, "kustomization-invalid", text)
        return
    found = Object(file.path, file.documents[0])
    if documents.get(found.node, "sops") is not None:
        text = "the kustomization is encrypted"
        yield finding(file.path, found.line_at("sops"), "kustomization-encrypted", text)
        return
    kind = found.kind or "Kustomization"
    if kind not in _VERSIONS:
        text = f"kind {_shown(kind)} is not one of kustomize's"
        yield finding(file.path, found.line_at("kind"), "kustomization-version", text)
    elif found.api_version not in ("", _VERSIONS[kind]):
        text = f"apiVersion {_shown(found.api_version)} is not that of a {kind} of kustomize"
        fix = f"write apiVersion: {_VERSIONS[kind]}" if kind == "Component" else ""
        line = found.line_at("apiVersion")
        yield finding(file.path, line, "kustomization-version", text, fix)
    for field, line in _unknown_fields(found.node):
        text = f"the kustomization has a field that kustomize does not know: {_shown(field)}"
        yield finding(file.path, line, "kustomization-field", text)
    for field in _HELM:
        if documents.get(found.node, field) is not None:
            text = f"{field} needs Helm inside of kustomize"
            yield finding(file.path, overlay.line_of(field), "helm-chart", text)


def _unknown_fields(node: documents.Node) -> Iterator[tuple[str, int]]:
    for key, key_node, value in documents.entries(node):
        if key not in _FIELDS and not key.startswith("x-"):
            yield key, documents.line_of(key_node)
        for item in documents.children(value) if key in _INNER_FIELDS else ():
            for inner, inner_node, _ in documents.entries(item):
                if inner not in _INNER_FIELDS[key]:
                    yield f"{key}.{inner}", documents.line_of(inner_node)


def _reference(
    reference: Reference, overlay: Overlay, overlays: Overlays, reader: Reader
) -> Iterator[Finding]:
    tree, shown, target = reader.tree, _shown(reference.text), reference.target
    if target not in tree.files and target not in tree.folders and is_remote(reference.text):
        # A URL may have a credential before the host or in the query.
        place = re.sub(r"//[^/@]*@", "//", reference.text).partition("?")[0]
        text = f"{_shown(place)} is outside of the repository"
        yield finding(overlay.place, reference.line, "remote-base", text)
        return
    if reference.leads_out:
        text = f"{shown} leads out of the repository"
        yield finding(overlay.place, reference.line, "path-escape", text)
        return
    link = tree.link_on_the_way(target)
    if link is not None:
        text = f"{shown} leads through the symbolic link {_shown(link)}"
        yield finding(overlay.place, reference.line, "symlink", text)
        return
    if target in tree.filtered:
        text = (
            f"{shown} is kept by Git in another form (an attribute such as filter): Flux gets that"
        )
        yield finding(overlay.place, reference.line, "git-filtered", text)
        return
    if target in tree.files:
        return
    if _is_left_out(target, tree):
        text = f"{shown} is in no artifact: the source leaves it out"
        yield finding(overlay.place, reference.line, "not-in-artifact", text)
        return
    if any(is_below(target, one) for one in tree.submodules):
        text = f"{shown} is in a submodule, which Flux does not fetch unless its source is told to"
        yield finding(overlay.place, reference.line, "submodule", text)
        return
    if target in tree.folders:
        if not reference.may_be_folder:
            text = f"{shown} is a folder, and {reference.field} wants files"
            yield finding(overlay.place, reference.line, "listed-missing", text)
        elif target not in overlays.by_folder or overlays.by_folder[target].file is None:
            text = f"{shown} is a folder without a kustomization.yaml"
            fix = "add a kustomization.yaml to it, or list its files one by one"
            yield finding(overlay.place, reference.line, "listed-missing", text, fix)
        return
    if target in tree.untracked:
        text = f"{shown} is listed, but it is not part of the commit"
        fix = f"git add {_shown(target)}"
        yield finding(overlay.place, reference.line, "not-added", text, fix)
        return
    text = f"{shown} does not exist"
    if tree.is_git and (tree.root / target).exists():
        text = f"{shown} is ignored by Git, so Flux never gets it"
    yield finding(overlay.place, reference.line, "listed-missing", text)


def _is_left_out(target: str, tree: Tree) -> bool:
    """Return whether a file, or every file of a folder, is in no artifact."""
    if target in tree.folders:
        return False
    return any(is_below(path, target) for path in tree.left_out)


def _not_listed(overlay: Overlay, overlays: Overlays, reader: Reader) -> Iterator[Finding]:
    listed = {ref.target for other in overlays.by_folder.values() for ref in other.references}
    tree = reader.tree
    # All subfolders of an environment are searched; elsewhere they may hold anything.
    deep = bool(environment_of(f"{overlay.folder}/"))
    paths = list(tree.below(overlay.folder)) if deep else tree.in_folder(overlay.folder)
    for path in paths:
        if not is_yaml(path) or posixpath.basename(path) in KUSTOMIZATION_NAMES or path in listed:
            continue
        if posixpath.basename(path).startswith(".") or _nearest(path, overlays) != overlay.folder:
            continue
        file = reader.file(path)
        objects = [one for one in file.objects if one.api_version and one.kind]
        if not objects and not (deep and not file.error_line and file.objects):
            continue
        yield _listing(overlay, reader, posixpath.relpath(path, overlay.folder))
    for folder, other in sorted(overlays.by_folder.items()) if deep else ():
        inside = folder != overlay.folder and is_below(folder, overlay.folder)
        if inside and folder not in listed and not other.is_component:
            if _nearest(folder, overlays) != overlay.folder:
                continue
            yield _listing(overlay, reader, posixpath.relpath(folder, overlay.folder))


def _nearest(path: str, overlays: Overlays) -> str | None:
    """Return the closest folder above a path that is an overlay."""
    folder = posixpath.dirname(path)
    while folder and folder not in overlays.by_folder:
        folder = posixpath.dirname(folder)
    return folder or ("." if "." in overlays.by_folder else None)


def _listing(overlay: Overlay, reader: Reader, name: str) -> Finding:
    assert overlay.file is not None
    entry = f"- {_shown(name)}"
    lines = reader.file(overlay.file).text.splitlines()
    hint = re.compile(rf"\s*#[\s#]*-\s*[\"']?(?:\./)?{re.escape(name)}[\"']?\s*(?:#.*)?")
    for number, line in enumerate(lines, 1):
        if hint.fullmatch(line):
            text = f"{_shown(name)} exists, but its line is commented out, so it is not applied"
            return finding(overlay.file, number, "not-listed", text, f"uncomment `{entry}`")
    text = f"{_shown(name)} is not listed, so it is not applied"
    fix = f"add `{entry}` under resources"
    return finding(overlay.file, overlay.line_of("resources"), "not-listed", text, fix)


def check_objects(overlay: Overlay, reader: Reader) -> Iterator[Finding]:
    """Yield listed documents that are not objects, and objects that are listed twice."""
    seen: dict[tuple[str, ...], Object] = {}
    for reference in overlay.references:
        if reference.field not in ("resources", "bases"):
            continue
        if reference.target not in reader.tree.files:
            continue
        for one in reader.file(reference.target).objects:
            if one.api_version and one.kind and not one.is_typed:
                text = "the whole object is encrypted, and so is its kind"
                yield finding(one.path, one.line, "object-encrypted", text)
                continue
            missing = _missing(one)
            if missing and one.is_encrypted and not (one.api_version or one.kind or one.name):
                text = "a document holds nothing but what sops added: the file ended with `---`"
                fix = "take the last `---` out, and encrypt the file again"
                yield finding(one.path, one.line, "not-an-object", text, fix)
                continue
            if missing:
                text = f"a document has no {missing}"
                yield finding(one.path, one.line, "not-an-object", text)
                continue
            key = (group_of(one.api_version), one.kind, one.namespace or "default", one.name)
            first = seen.setdefault(key, one)
            if first is not one:
                text = f"{one.kind} {_shown(one.name)} is defined a second time "
                text += f"(first in {_shown(first.path)}, line {first.line})"
                yield finding(one.path, one.line, "duplicate-object", text)


def _missing(one: Object) -> str:
    named = one.name or one.text("metadata", "generateName")
    parts = (("apiVersion", one.api_version), ("kind", one.kind), ("metadata.name", named))
    return next((part for part, value in parts if not value), "")


def _shown(text: str) -> str:
    """Return a name from a file as it is printed: short, and without control characters."""
    printable = "".join(char if char.isprintable() else "?" for char in text)
    return printable if len(printable) <= 120 else f"{printable[:119]}…"
