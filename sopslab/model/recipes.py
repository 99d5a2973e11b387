"""Plans: what a recipe of `sopslab.lab.store` is told.

Everything in a plan has an influence on the result. The addresses to fetch from have none, so they
are not part of a plan.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sopslab.model.store import Arch


@dataclass(frozen=True)
class GoSources:
    """The lab's own Go modules that a recipe needs, as texts by path. `toolchain` is a wheel in the
    store with the Go toolchain that builds them, which is used if it is there."""

    arch: Arch
    modules: Mapping[str, Mapping[str, str]]
    toolchain: str | None


@dataclass(frozen=True)
class Edit:
    """A replacement in a file of a module before the build; the file has `text` exactly once."""

    module: str
    file: str
    text: str
    becomes: str


@dataclass(frozen=True)
class Embed:
    """Files of the store (`source`) that the program of one entry embeds, but that its Go module
    lacks."""

    entry: str
    module: str
    package: str
    into: str
    source: str


@dataclass(frozen=True)
class ProgramsPlan:
    """Programs that are built from one of the lab's own Go modules. `programs` has for each entry
    of the store the Go package of each program."""

    module: str
    tags: str
    ldflags: str
    programs: Mapping[str, Mapping[str, str]]
    edits: tuple[Edit, ...]
    embed: Embed | None


@dataclass(frozen=True)
class FolderPlan:
    """A folder of the Go module that contains a package."""

    module: str
    package: str
    path: str


@dataclass(frozen=True)
class ModulePackage:
    """A Go package, and the one of the lab's own modules that requires it."""

    module: str
    package: str


@dataclass(frozen=True)
class ManifestsPlan:
    """The manifests that the flux command embeds; `kubectl` is a program of the store."""

    module: str
    package: str
    controllers: Mapping[str, ModulePackage]
    kubectl: str


@dataclass(frozen=True)
class ReleasePlan:
    """A file of a release page, under its name in lock.json.

    `members` maps each program to a member of the tar.gz, or to None if the file itself is the
    program.
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
    """A root file system: that of an image of a registry, with packages that the image's own apt
    adds."""

    image: str
    digest: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class RootfsPlan:
    """A root file system that consists of Debian packages."""

    codename: str
    variant: str
    packages: tuple[str, ...]


@dataclass(frozen=True)
class ToolchainPlan:
    """A Go toolchain from the Python package index."""

    package: str
    version: str
    sha256: str


@dataclass(frozen=True)
class GitImagePlan:
    """The Git server's image: a root file system, and programs of the store by their paths in the
    image."""

    base: str
    programs: Mapping[str, str]


@dataclass(frozen=True)
class StaticImage:
    """An image for one program of the store.

    `path` is where the program is in the image, `entrypoint` how it is started, `user` who runs it.
    Without `rootfs`, the image has only the program and what a static program needs. `links` are
    made as well.
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
    """An image that an entry of the store contains as an archive."""

    image: str
    archive: str


@dataclass(frozen=True)
class NodeImagePlan:
    """The image of a kind node.

    `kind` is the entry of the store with kind's own files, None if the base is kind's own image.
    `network` is a CNI configuration. `preload` are the images that the cluster runs.
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
