"""Validate a tree: read it, check its wiring, build what Flux would, and check the result."""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sopslab.errors import LabError
from sopslab.model.words import counted
from sopslab.policy import documents
from sopslab.policy.findings import Finding, Report, Undecidable
from sopslab.validation import (
    artifact,
    ciphertext,
    conformance,
    environments,
    layout,
    reconciliation,
    schema_store,
    schemas,
    secret_keys,
    secrets,
    wiring,
)
from sopslab.validation.build import Built, Manifest, build
from sopslab.validation.findings import BLOCKING, finding
from sopslab.validation.marks import Marks
from sopslab.validation.objects import Object, Reader, at, group_of
from sopslab.validation.overlays import Overlays
from sopslab.validation.roots import Root, parts_of
from sopslab.validation.tree import Tree
from sopslab.validation.variables import Variables, may_be_patched

# A kustomization with one of these fields may complete objects that are written only in part.
_COMPLETING = ("patches", "patchesStrategicMerge", "patchesJson6902", "components", "replacements")
_CRD_GROUP, _CRD_KIND = "apiextensions.k8s.io", "CustomResourceDefinition"
_SCHEMA_FILE = re.compile(r"[a-z0-9][a-z0-9.-]*/[a-z0-9-]+_[a-z0-9-]+\.json")
_MAX_ROOTS = 1000
_ASK = 'eval "$(sopslab env)"'


@dataclass
class Answer(Report):
    """The report about a tree; `notes` tell what could not be checked and does not have to be."""

    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Made:
    """An object of a build, and where it is written, as far as that can be told."""

    manifest: Manifest
    root: Root
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
            return self.root.overlay.place, 1
        return self.written.path, self.written.line_at(*keys)


def validate(tree: Tree, schema_dir: Callable[[], Path]) -> Answer:
    """Judge a tree.

    + schema_dir: returns the folder with the schemas, or raises LabError

    Anything that cannot be judged is always reported, in `Report.undecided`.
    """
    answer = Answer()
    try:
        _Run(tree, schema_dir, answer).judge()
    except RecursionError:
        answer.undecided.append("a file is nested too deeply")
    return answer


class _Run:
    def __init__(self, tree: Tree, schema_dir: Callable[[], Path], answer: Answer) -> None:
        self._schema_dir, self._answer = schema_dir, answer
        self._flux = shutil.which("flux")
        self._all = Reader(tree)
        self._artifacts: dict[str, frozenset[str]] = {}
        self._marks = Marks()
        self._specs: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
        """The specs that each written Flux Kustomization has after the builds that apply it."""

    def judge(self) -> None:
        """Fill the answer."""
        self._reconciled = reconciliation.find(self._all)
        try:
            self._reader = self._handed()
        except LabError as error:
            self._answer.undecided.append(str(error))
            self._reader, self._flux = self._all, None
        self._overlays = Overlays(self._reader, reconciliation.applied_paths(self._reconciled))
        self._variables = Variables(self._reader, self._marks)
        self._namespaces = environments.namespaces(self._reader, self._reconciled)
        found = set(self._static())
        made: list[_Made] = []
        try:
            for built in self._build_all({one.path for one in found if one.rule in BLOCKING}):
                found.update(self._told(built))
                made += self._made(built)
            for one in made:
                found.update(_keys(one))
            found.update(self._conform(made))
        except LabError as error:
            if str(error) not in self._answer.undecided:
                self._answer.undecided.append(str(error))
        found.update(self._of_flux())
        self._answer.checked = len(made)
        self._answer.findings = sorted(found)

    def _handed(self) -> Reader:
        """Return a reader of the files that the sources hand to Flux. Raises LabError."""
        if self._flux is None:
            raise LabError(f"flux is not on the PATH, so nothing can be built: {_ASK}")
        tree = self._all.tree
        own = {one.ignore for one in self._reconciled if one.is_here}
        for ignore in sorted(own or {""}):
            self._artifacts[ignore] = artifact.files_of(tree, ignore, self._flux)
        handed = frozenset().union(*self._artifacts.values())
        if handed == tree.files:
            return self._all
        here = {one.written.path for one in self._reconciled}
        self._reconciled = [
            one for one in self._reconciled if one.written.path in handed or here.isdisjoint(handed)
        ]
        return Reader(replace(tree, files=handed, left_out=tree.files - handed))

    def _static(self) -> Iterator[Finding]:
        """Yield the findings that need no build."""
        overlays, reader = self._overlays, self._reader
        written = [overlay.file for overlay in overlays.by_folder.values() if overlay.file]
        for path in sorted({*overlays.scope, *written}):
            if path in reader.tree.filtered:
                continue
            file = reader.file(path)
            yield from wiring.check_file(file)
            yield from secrets.check_environment(file, self._namespaces)
            try:
                yield from secrets.check_encryption(file, reader)
            except Undecidable as error:
                self._answer.undecided.append(f"{path} {error}")
            if file.too_much:
                self._answer.undecided.append(f"{path} {file.too_much}")
        for overlay in overlays.by_folder.values():
            yield from wiring.check(overlay, overlays, reader)
            yield from wiring.check_objects(overlay, reader)
        yield from self._left_out()

    def _left_out(self) -> Iterator[Finding]:
        """Yield references to files that are in the artifact of another source only."""
        if len(self._artifacts) < 2:
            return
        for one in self._reconciled:
            overlay = self._overlays.by_folder.get(one.path) if one.is_here else None
            if overlay is None:
                continue
            for part in parts_of(Root(overlay, one.written, _spec(one.written)), self._overlays):
                for reference in part.references:
                    handed = self._artifacts[one.ignore]
                    if reference.target in self._reader.tree.files - handed:
                        text = f"{reference.target} is not in the artifact of {one.written.name}"
                        place = part.place, reference.line
                        yield finding(
                            *place, "not-in-artifact", f"{text}: its source leaves it out"
                        )

    def _build_all(self, blocked: set[str]) -> Iterator[Built]:
        """Build every root, each one after the roots that apply it."""
        if self._flux is None:
            return
        waiting = self._first_roots()
        with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as folder:
            builder = _Builder(self, Path(folder).resolve(), blocked, self._flux)
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                count = 0
                while waiting:
                    wave, waiting = self._ready(waiting)
                    count += len(wave)
                    if count > _MAX_ROOTS:
                        raise LabError(f"there are more than {_MAX_ROOTS} overlays to build")
                    builder.lay_out(wave)
                    for built in pool.map(builder.build, wave):
                        self._note_specs(built)
                        yield built

    def _first_roots(self) -> list[Root]:
        """Return all roots; those of Flux Kustomizations have the specs that are written."""
        roots = []
        applied = set()
        for one in self._reconciled:
            overlay = self._overlays.by_folder.get(one.path) if one.is_here else None
            if overlay is not None:
                applied.add(overlay.folder)
                roots.append(Root(overlay, one.written, _spec(one.written), one.ignore))
        default = "" if "" in self._artifacts else min(self._artifacts, default="")
        others = [one for one in self._overlays.roots if one.folder not in applied]
        return [*(Root(one, ignore=default) for one in others), *roots]

    def _ready(self, waiting: list[Root]) -> tuple[list[Root], list[Root]]:
        """Return the roots to build now, once for each spec that builds gave them, and the rest."""
        applies = {path: index for index, root in enumerate(waiting) for path in self.files(root)}
        ready, later = [], []
        for index, root in enumerate(waiting):
            parent = applies.get(root.written.path) if root.written is not None else None
            if parent is not None and parent != index and waiting[parent].written != root.written:
                later.append(root)
            else:
                ready.append(root)
        if not ready:
            ready, later = later, []
        wave = []
        for root in ready:
            specs = self._specs.get(_id(root.written), []) if root.written is not None else []
            wave += [replace(root, spec=spec) for spec in specs] or [root]
        return wave, later

    def _note_specs(self, built: Built) -> None:
        """Keep the specs that a build gives to the Flux Kustomizations that it applies."""
        for one in self._located(built):
            if one.written is None or group_of(one.api_version) != reconciliation.GROUP:
                continue
            spec = json.loads(self._marks.restored(json.dumps(one.manifest.get("spec"))))
            known = self._specs.setdefault(_id(one.written), [])
            if isinstance(spec, dict) and spec not in known and len(known) < 10:
                known.append(spec)

    def files(self, root: Root) -> list[str]:
        """Return the files that a root is built from, without kustomizations."""
        return sorted(
            {path for part in parts_of(root, self._overlays) for path in self._overlays.files(part)}
        )

    def _told(self, built: Built) -> Iterator[Finding]:
        """Yield errors of a build, variables that are not set, and faults of encrypted values."""
        root = built.root
        if built.rule:
            yield finding(root.overlay.place, 1, built.rule, built.message)
        files = self.files(root)
        patches = [
            self._reader.file(one.file).text
            for one in self._overlays.by_folder.values()
            if one.file
        ]
        patches += [str(one.written.manifest.get("spec")) for one in self._reconciled]
        elsewhere = at(root.spec, "postBuild", "substituteFrom")
        # A Flux Kustomization that no kustomization lists is reported as such. Nobody knows which
        # variables would be added to it if it were listed.
        is_idle = root.written is not None and self._overlays.passes_over(root.written.path)
        for one in built.missing:
            if one.is_invalid:
                text = (
                    f"{one.variable!r} cannot be the name of a variable, so Flux substitutes none"
                )
                line = root.written.line_at("spec", "postBuild") if root.written is not None else 1
                yield finding(root.place, line, "substitution", text)
            elif not is_idle and not (elsewhere and may_be_patched(one.variable, patches)):
                place = self._named(one.variable, files) or (root.overlay.place, 1)
                text = f"the variable {one.variable} is not set"
                yield finding(*place, "substitution", text)
        if not built.is_marked:
            return
        parts = parts_of(root, self._overlays)
        before = ciphertext.decrypted_before(parts)
        for made in self._located(built):
            path, line = made.place(("metadata", "name"))
            for rule, message in ciphertext.problems(
                made.manifest, before, root.decrypts, self._marks, self._reader
            ):
                text = f"{made.kind}: {message}"
                if rule == "decryption-missing" and root.written is not None:
                    path, line = root.written.path, root.written.line_at("spec")
                    text = "its path holds encrypted files, and decryption is not set"
                yield finding(path, line, rule, text)
        originals: dict[str, list[tuple[Object, Any]]] = {}
        for written in self._written(root):
            if written.is_encrypted:
                said = (written, written.manifest)
                originals.setdefault(written.text("sops", "mac"), []).append(said)
        objects = [one.manifest for one in self._made(built)]
        yield from secrets.check_transformed(objects, originals, parts, root.spec)

    def _named(self, variable: str, files: Iterable[str]) -> tuple[str, int] | None:
        """Return the first place where a variable is used."""
        for path in files:
            lines = (self._reader.tree.read(path) or b"").splitlines()
            for number, line in enumerate(lines, 1):
                if b"${" + variable.encode() in line:
                    return path, number
        return None

    def _written(self, root: Root) -> Iterator[Object]:
        """Yield the objects in the files that a root and its overlays list as resources."""
        listed = {
            reference.target
            for part in parts_of(root, self._overlays)
            for reference in part.references
            if reference.field in ("resources", "bases")
            and reference.target in self._reader.tree.files
        }
        return self._reader.objects(sorted(listed))

    def _located(self, built: Built) -> Iterator[_Made]:
        """Yield the objects of a build with the documents they come from."""
        by_name: dict[tuple[str, str], list[Object]] = {}
        for written in self._written(built.root):
            by_name.setdefault((written.kind, written.name), []).append(written)
        for manifest in built.objects:
            name = str(at(manifest, "metadata", "name"))
            found = by_name.get((str(manifest.get("kind")), name), [])
            namespace = str(at(manifest, "metadata", "namespace") or "")
            exact = [one for one in found if one.namespace == namespace]
            yield _Made(manifest, built.root, next(iter([*exact, *found]), None))

    def _made(self, built: Built) -> Iterator[_Made]:
        """Yield the objects of a build, with the original values in place of marks."""
        for one in self._located(built):
            yield replace(one, manifest=_restored(one.manifest, self._marks))

    def as_written(self, root: Root) -> tuple[Manifest, ...]:
        """Return the objects of a root as they are written, or none if they may be incomplete."""
        parts = parts_of(root, self._overlays)
        if any(part.has(field) for part in parts for field in _COMPLETING):
            return ()
        return tuple(one.manifest for one in self._written(root) if one.is_typed)

    def _of_flux(self) -> Iterator[Finding]:
        patched = any(_patches_decryption(one.written) for one in self._reconciled)
        for one in self._reconciled:
            for spec in self._specs.get(_id(one.written)) or [_spec(one.written)]:
                path = one.path_in(spec)
                overlay = self._overlays.by_folder.get(path) if one.is_here is not False else None
                encrypted = False
                if overlay is not None:
                    files = self.files(Root(overlay, one.written, spec))
                    encrypted = any(map(reconciliation.is_encrypted, self._reader.objects(files)))
                yield from reconciliation.check(
                    one, spec, self._overlays, self._reader, self._namespaces, encrypted, patched
                )

    def _conform(self, made: Sequence[_Made]) -> Iterator[Finding]:
        """Yield what is wrong by the schemas of the lab, and of definitions in the tree itself."""
        if not made:
            return
        kubeconform = shutil.which("kubeconform")
        if kubeconform is None:
            raise LabError(f"kubeconform is not on the PATH, so no schema is checked: {_ASK}")
        with tempfile.TemporaryDirectory(prefix="sopslab-validate-") as own:
            pinned = self._schema_dir()
            folders = [pinned, Path(own)]
            crds = [
                one.manifest
                for one in made
                if one.kind == _CRD_KIND and group_of(one.api_version) == _CRD_GROUP
            ]
            schema_store.write(_defined(crds), Path(own))
            known: list[_Made] = []
            foreign: dict[str, int] = {}
            for one in made:
                if conformance.has_schema(one.manifest, folders):
                    known.append(one)
                elif conformance.has_group(one.api_version, pinned):
                    yield _unknown(one, conformance.versions_of(one.kind, folders))
                else:
                    name = f"{one.kind} ({group_of(one.api_version)})"
                    foreign[name] = foreign.get(name, 0) + 1
            self._note(foreign)
            objects = [conformance.prepared(one.manifest) for one in known]
            for problem in conformance.check(objects, folders, kubeconform):
                one = known[problem.index]
                path, line = one.place(problem.place)
                where = ".".join(problem.keys) or "the object"
                yield finding(path, line, "schema", f"{one.kind}: {where}: {problem.message}")

    def _note(self, foreign: Mapping[str, int]) -> None:
        if foreign:
            count = sum(foreign.values())
            kinds = ", ".join(f"{count} {name}" for name, count in sorted(foreign.items()))
            objects = counted(count, "object")
            text = f"{objects} of kinds without a schema here, not checked against one: {kinds}"
            self._answer.notes.append(text)


class _Builder:
    """Builds roots in folders where their files are laid out, one for each artifact."""

    def __init__(self, run: _Run, folder: Path, blocked: set[str], flux: str) -> None:
        self._run, self._folder, self._blocked, self._flux = run, folder, blocked, flux
        self._folders: dict[str, Path] = {}

    def lay_out(self, roots: Iterable[Root]) -> None:
        """Write the files that some roots are built from. Raises LabError."""
        run = self._run
        for root in roots:
            if root.ignore in self._folders:
                continue
            folder = self._folder / str(len(self._folders))
            folder.mkdir()
            tree, overlays = run._reader.tree, run._overlays
            paths = sorted(run._artifacts.get(root.ignore, tree.files) & tree.files)
            before = ciphertext.decrypted_before(list(overlays.by_folder.values()))
            layout.write(tree, paths, before, run._marks, folder)
            self._folders[root.ignore] = folder

    def build(self, root: Root) -> Built:
        """Build a root; if it cannot be built, return its objects as written, if they are whole."""
        run = self._run
        parts = parts_of(root, run._overlays)
        files = run.files(root)
        places = {root.place, *(part.place for part in parts), *files}
        built = Built(root)
        if not places & self._blocked and self._has_components(root):
            values = run._variables.of(root, files)
            built = build(root, values, self._folders[root.ignore], run._marks, self._flux)
            if not built.rule:
                return built
        return replace(built, objects=run.as_written(root), is_marked=False)

    def _has_components(self, root: Root) -> bool:
        """False if a component is missing: that is reported without a build."""
        overlays = self._run._overlays
        missing = [one for one in root.components if one not in overlays.with_file]
        if root.spec.get("ignoreMissingComponents") is True:
            missing = [one for one in missing if one in self._run._reader.tree.folders]
        return not missing


def _id(written: Object | None) -> tuple[str, int]:
    return (written.path, written.line) if written is not None else ("", 0)


def _spec(written: Object) -> Mapping[str, Any]:
    spec = written.manifest.get("spec")
    return spec if isinstance(spec, dict) else {}


def _restored(value: Any, marks: Marks) -> Any:
    if isinstance(value, str):
        return marks.restored(value)
    if isinstance(value, dict):
        return {key: _restored(inner, marks) for key, inner in value.items()}
    if isinstance(value, list):
        return [_restored(inner, marks) for inner in value]
    return value


def _patches_decryption(written: Object) -> bool:
    patches = documents.get(written.node, "spec", "patches")
    if patches is None:
        return False
    return any("decryption" in str(leaf.value) for _, leaf in documents.leaves(patches))


def _defined(crds: Iterable[Manifest]) -> schemas.Schemas:
    """Return the schemas of the definitions in a tree, by the names of their files.

    What no API server would take is left out. It has no schema, or the name, which becomes a path,
    could lead anywhere.
    """
    found: schemas.Schemas = {}
    for crd in crds:
        with suppress(AttributeError, LookupError, TypeError, ValueError):
            found |= schemas.from_crds([crd])
    return {name: schema for name, schema in found.items() if _SCHEMA_FILE.fullmatch(name)}


def _keys(one: _Made) -> Iterator[Finding]:
    for keys, message in secret_keys.problems(one.manifest):
        path, line = one.place(keys)
        yield finding(path, line, "secret-keys", message)


def _unknown(one: _Made, versions: Sequence[str]) -> Finding:
    path, line = one.place(("apiVersion",))
    text = f"no schema is known for kind {one.kind} of {one.api_version}"
    fix = f"write apiVersion: {' or '.join(versions)}" if versions else ""
    return finding(path, line, "unknown-kind", text, fix)
