"""The run: read a tree, look at its wiring, build its overlays, and check what came of them."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopslab.errors import LabError
from sopslab.policy import documents
from sopslab.policy.findings import Finding, Report, Undecidable
from sopslab.validation import conformance, reconciliation, schema_store, schemas, secrets, wiring
from sopslab.validation.build import Built, Manifest, build
from sopslab.validation.findings import BLOCKING, finding
from sopslab.validation.objects import Object, Reader, group_of
from sopslab.validation.overlays import Overlay, Overlays
from sopslab.validation.reconciliation import Reconciled
from sopslab.validation.tree import Tree

__all__ = ["validate"]

# With these, what is written may be less than a whole object.
_COMPLETING = ("patches", "patchesStrategicMerge", "patchesJson6902", "components", "replacements")
_CRD_GROUP, _CRD_KIND = "apiextensions.k8s.io", "CustomResourceDefinition"


@dataclass(frozen=True)
class _Made:
    """An object of a build, and where it is written, as far as that can be told."""

    manifest: Manifest
    overlay: Overlay
    written: Object | None

    @property
    def api_version(self) -> str:
        return str(self.manifest.get("apiVersion") or "")

    @property
    def kind(self) -> str:
        return str(self.manifest.get("kind") or "")

    def place(self, keys: Sequence[str] = ()) -> tuple[str, int]:
        """Return the path and line to name."""
        if self.written is None:
            return self.overlay.place, 1
        return self.written.path, self.written.line_at(*keys)


def validate(tree: Tree, schema_dir: Callable[[], Path]) -> Report:
    """Judge a tree.

    + schema_dir: returns the folder with the schemas, or raises LabError

    Whatever keeps something from being judged ends in `Report.undecided`, never in silence.
    """
    report = Report()
    try:
        _judge(Reader(tree), schema_dir, report)
    except RecursionError:
        report.undecided.append("a file is nested too deeply")
    return report


def _judge(reader: Reader, schema_dir: Callable[[], Path], report: Report) -> None:
    reconciled = reconciliation.find(reader)
    overlays = Overlays(reader, reconciliation.applied_paths(reconciled))
    found = set(_static(overlays, reader, report))
    blocked = {one.path for one in found if one.rule in BLOCKING}
    made: list[_Made] = []
    try:
        for built in _build_all(overlays, reader, blocked):
            if built.rule:
                found.add(finding(built.overlay.place, 1, built.rule, built.message))
            made += _located(built, overlays, reader)
            found.update(_transformed(built, overlays, reader))
        found.update(_conform(made, schema_dir))
    except LabError as error:
        report.undecided.append(str(error))
    found.update(_reconciled(reconciled, made, overlays, reader))
    report.checked = len(made)
    report.findings = sorted(found)


def _static(overlays: Overlays, reader: Reader, report: Report) -> Iterator[Finding]:
    """Yield what can be told from the files alone."""
    written = [overlay.file for overlay in overlays.by_folder.values() if overlay.file]
    for path in sorted({*overlays.scope, *written}):
        file = reader.file(path)
        yield from wiring.check_file(file)
        yield from secrets.check_environment(file)
        try:
            yield from secrets.check_encryption(file, reader)
        except Undecidable as error:
            report.undecided.append(f"{path} {error}")
        if file.too_much:
            report.undecided.append(f"{path} {file.too_much}")
    for overlay in overlays.by_folder.values():
        yield from wiring.check(overlay, overlays, reader)
        yield from wiring.check_objects(overlay, reader)


def _build_all(overlays: Overlays, reader: Reader, blocked: set[str]) -> Iterator[Built]:
    """Build every root. What is known not to build is taken as it is written, if that is whole."""
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        raise LabError('kubectl is not on the PATH, so nothing can be built: eval "$(sopslab env)"')

    def one(overlay: Overlay) -> Built:
        parts = overlays.closure(overlay)
        places = {*(part.place for part in parts), *overlays.files(overlay)}
        built = Built(overlay)
        if not places & blocked:
            built = build(overlay, reader.tree.root, kubectl)
            if not built.rule:
                return built
        if any(part.has(field) for part in parts for field in _COMPLETING):
            return built
        objects = tuple(
            written.manifest for written in _written(overlay, overlays, reader) if written.is_typed
        )
        return Built(overlay, objects, built.rule, built.message)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(one, overlays.roots)


def _written(overlay: Overlay, overlays: Overlays, reader: Reader) -> Iterator[Object]:
    """Yield the objects in the resources of an overlay and of what it includes."""
    listed = {
        reference.target
        for part in overlays.closure(overlay)
        for reference in part.references
        if reference.field in ("resources", "bases") and reference.target in reader.tree.files
    }
    return reader.objects(sorted(listed))


def _located(built: Built, overlays: Overlays, reader: Reader) -> Iterator[_Made]:
    """Yield the objects of a build with the documents they come from."""
    by_name: dict[tuple[str, str], list[Object]] = {}
    for written in _written(built.overlay, overlays, reader):
        by_name.setdefault((written.kind, written.name), []).append(written)
    for manifest in built.objects:
        metadata = manifest.get("metadata")
        metadata = metadata if isinstance(metadata, dict) else {}
        found = by_name.get((str(manifest.get("kind")), str(metadata.get("name"))), [])
        namespace = str(metadata.get("namespace") or "")
        exact = [one for one in found if one.namespace == namespace]
        yield _Made(manifest, built.overlay, next(iter([*exact, *found]), None))


def _transformed(built: Built, overlays: Overlays, reader: Reader) -> Iterator[Finding]:
    originals: dict[str, tuple[Object, Any]] = {}
    for written in _written(built.overlay, overlays, reader):
        if written.is_encrypted:
            originals[written.text("sops", "mac")] = (written, written.manifest)
    parts = overlays.closure(built.overlay)
    yield from secrets.check_transformed(built.objects, originals, parts)


def _reconciled(
    reconciled: Sequence[Reconciled], made: Sequence[_Made], overlays: Overlays, reader: Reader
) -> Iterator[Finding]:
    patched = any(_patches_decryption(one.written) for one in reconciled)
    built = {
        (one.written.path, one.written.line): one.manifest
        for one in made
        if one.written is not None and group_of(one.api_version) == reconciliation.GROUP
    }
    for one in reconciled:
        manifest = built.get((one.written.path, one.written.line))
        yield from reconciliation.check(one, manifest, overlays, reader, patched)


def _patches_decryption(written: Object) -> bool:
    patches = documents.get(written.node, "spec", "patches")
    if patches is None:
        return False
    return any("decryption" in str(leaf.value) for _, leaf in documents.leaves(patches))


def _conform(made: Sequence[_Made], schema_dir: Callable[[], Path]) -> Iterator[Finding]:
    """Yield what the schemas say: of the lab, and of definitions in the tree itself."""
    if not made:
        return
    kubeconform = shutil.which("kubeconform")
    if kubeconform is None:
        raise LabError(
            'kubeconform is not on the PATH, so no schema is checked: eval "$(sopslab env)"'
        )
    with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as own:
        folders = [schema_dir(), Path(own)]
        crds = [
            one.manifest
            for one in made
            if one.kind == _CRD_KIND and group_of(one.api_version) == _CRD_GROUP
        ]
        schema_store.write(schemas.from_crds(crds), Path(own))
        known: list[_Made] = []
        for one in made:
            if conformance.has_schema(one.manifest, folders):
                known.append(one)
            else:
                yield _unknown(one, conformance.versions_of(one.kind, folders))
        objects = [conformance.prepared(one.manifest) for one in known]
        for problem in conformance.check(objects, folders, kubeconform):
            one = known[problem.index]
            path, line = one.place(problem.place)
            where = ".".join(problem.keys) or "the object"
            yield finding(path, line, "schema", f"{one.kind}: {where}: {problem.message}")


def _unknown(one: _Made, versions: Sequence[str]) -> Finding:
    path, line = one.place(("apiVersion",))
    text = f"no schema is known for kind {one.kind} of {one.api_version}"
    fix = f"write apiVersion: {' or '.join(versions)}" if versions else ""
    return finding(path, line, "unknown-kind", text, fix)
