"""What recipes are told: a plan for each of `sopslab.lab.store`.

Everything in a plan decides the result; where it is fetched from is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sopslab.model.store import Arch


@dataclass(frozen=True)
class GoSources:
    """Our Go modules that a recipe needs, as texts by path, and what builds them: a wheel in the
    store with a toolchain, which is used if it is there."""

    arch: Arch
    modules: Mapping[str, Mapping[str, str]]
    toolchain: str | None


@dataclass(frozen=True)
class Edit:
    """A text that a file of a module has exactly once, and what it becomes before the build."""

    module: str
    file: str
    text: str
    becomes: str


@dataclass(frozen=True)
class Embed:
    """Files of the store (`source`) that the program of one entry embeds, but its module lacks."""

    entry: str
    module: str
    package: str
    into: str
    source: str


@dataclass(frozen=True)
class ProgramsPlan:
    """Programs of one of our Go modules: of each entry the package of each program."""

    module: str
    tags: str
    ldflags: str
    programs: Mapping[str, Mapping[str, str]]
    edits: tuple[Edit, ...]
    embed: Embed | None


@dataclass(frozen=True)
class FolderPlan:
    """A folder of the Go module that has a package."""

    module: str
    package: str
    path: str


@dataclass(frozen=True)
class ModulePackage:
    """A Go package, and the module of ours that requires it."""

    module: str
    package: str


@dataclass(frozen=True)
class ManifestsPlan:
    """What the flux command embeds; `kubectl` is a program of the store."""

    module: str
    package: str
    controllers: Mapping[str, ModulePackage]
    kubectl: str


@dataclass(frozen=True)
class ReleasePlan:
    """A file of a release page, by what lock.json calls it.

    `members` maps programs to members of a tar.gz, or to None where the file is the program.
    """

    base: str
    file: str
    sha256: str | None
    members: Mapping[str, str | None]


@dataclass(frozen=True)
class PullPlan:
    """An image of a registry, and the name to keep it under."""

    image: str
    digest: str
    keep_as: str


@dataclass(frozen=True)
class DerivedPlan:
    """A root file system of an image of a registry, to which its own apt adds packages."""

    image: str
    digest: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class RootfsPlan:
    """A root file system of Debian packages."""

    codename: str
    variant: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class ToolchainPlan:
    """A Go toolchain of the Python package index."""

    package: str
    version: str
    sha256: str


@dataclass(frozen=True)
class GitImagePlan:
    """The Git server's image: a root file system, and programs of the store by path in it."""

    base: str
    programs: Mapping[str, str]


@dataclass(frozen=True)
class StaticImage:
    """An image of one program of the store: where it is in the image, what it is started as, and
    who runs it.

    It is alone there, with what a static program needs, or on a root file system; `links` are made
    beside it.
    """

    image: str
    program: str
    path: str
    entrypoint: str
    user: str
    rootfs: str | None
    links: Mapping[str, str]


@dataclass(frozen=True)
class ArchivedImage:
    """An image that an entry of the store has as an archive."""

    image: str
    archive: str


@dataclass(frozen=True)
class NodeImagePlan:
    """The image of a kind node.

    `kind` is the entry of kind's own files, None where the base is kind's image; `network` is a CNI
    configuration; `preload` are the images that its cluster runs.
    """

    arch: Arch
    base: str
    kubernetes: str
    kind: str | None
    programs: Mapping[str, str]
    links: Mapping[str, str]
    network: Mapping[str, Any] | None
    preload: tuple[StaticImage | ArchivedImage, ...]


Plan = (
    ProgramsPlan
    | FolderPlan
    | ManifestsPlan
    | ReleasePlan
    | PullPlan
    | DerivedPlan
    | RootfsPlan
    | ToolchainPlan
)
ImagePlan = GitImagePlan | NodeImagePlan
