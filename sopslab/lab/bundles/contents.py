"""What is in a bundle besides its members: what they are made of, and their licences."""

from __future__ import annotations

import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sopslab.artifacts.sbom import Made, debian_packages, python_packages, sbom
from sopslab.config.places import Lab
from sopslab.lab.bundles.go_modules import go_modules
from sopslab.lab.bundles.product import wheels_of
from sopslab.lab.observe.store import MANIFEST
from sopslab.lab.store.members import packed
from sopslab.model.members import Member

_LICENCE = re.compile(r"(licen[cs]e|copying|notice|authors)[^/]*", re.IGNORECASE)
_COPYRIGHT = re.compile(r"(?:\./)?usr/share/doc/([a-z0-9][a-z0-9.+-]*)/copyright")
_STATUS = ("./var/lib/dpkg/status", "var/lib/dpkg/status")
_LONGEST_NAME = 90


@dataclass(frozen=True)
class Licences:
    """Texts by their file in a bundle, and of what none could be had."""

    texts: Mapping[str, bytes]
    without: tuple[str, ...]


def parts_of(lab: Lab, members: list[Member], version: str) -> dict[str, Any]:
    """Return the SBOM of members.

    + version: of the product
    """
    made = [_entry(lab, each) if each.what == "entry" else _product(lab, each, version)
            for each in members]  # fmt: skip
    return sbom(version, made)


def licences(lab: Lab, members: list[Member]) -> Licences:
    """Return the licences of members, as far as they lie on this machine: those of Python packages
    are in their wheels, those of Debian packages in root file systems unless they were left out
    there, and those of Go modules were removed with what was only needed to build."""
    texts: dict[str, bytes] = {}
    without: set[str] = set()
    for member in members:
        if member.what == "product":
            for name, found in _wheel_licences(packed(lab, member)):
                if not found:
                    without.add(f"Python package {name}")
                texts |= {f"licences/pypi/{name}/{file}": text for file, text in found.items()}
            continue
        folder = Path(lab.store, member.name)
        if (folder / "rootfs.tar").is_file():
            found = _copyrights(folder / "rootfs.tar")
            listed = {part.name for part in debian_packages(_dpkg_status(folder))}
            # Where packages were unpacked only, dpkg lists none, and there are some.
            if not listed or listed - found.keys():
                without.add(f"Debian packages of {member.name}")
            texts |= {f"licences/debian/{name}": text for name, text in found.items()}
        else:
            without.add(f"{member.name} and its Go modules")
    return Licences(dict(sorted(texts.items())), tuple(sorted(without)))


def _entry(lab: Lab, member: Member) -> Made:
    folder = Path(lab.store, member.name)
    manifest = json.loads((folder / MANIFEST).read_bytes())
    programs = sorted((folder / "bin").glob("*"))
    modules = [part for program in programs for part in go_modules(program)]
    status = _dpkg_status(folder)
    parts = [*modules, *debian_packages(status)]
    kind = "application" if programs else "operating-system" if status else "data"
    return Made(manifest["name"], manifest["version"], member.sha256, kind, parts)


def _product(lab: Lab, member: Member, version: str) -> Made:
    parts = python_packages(wheels_of(packed(lab, member)))
    return Made(f"{member.name}-{member.arch}", version, member.sha256, "application", parts)


def _dpkg_status(folder: Path) -> str:
    """Return what dpkg says of a root file system; nothing where there is none."""
    if not (folder / "rootfs.tar").is_file():
        return ""
    with tarfile.open(folder / "rootfs.tar") as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name in _STATUS else None
            if content is not None:
                return content.read().decode("utf-8", "replace")
    return ""


def _copyrights(rootfs: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(rootfs) as archive:
        for member in archive:
            package = _COPYRIGHT.fullmatch(member.name)
            content = archive.extractfile(member) if package and member.isfile() else None
            if package and content is not None:
                found[package[1]] = content.read()
    return found


def _wheel_licences(product: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield each Python package, once for all its wheels, with its licences by file name."""
    seen: set[str] = set()
    with tarfile.open(product) as archive:
        for member in archive:
            content = archive.extractfile(member) if member.name.endswith(".whl") else None
            name = "-".join(Path(member.name).name.split("-")[:2])
            if content is None or name in seen:
                continue
            seen.add(name)
            with zipfile.ZipFile(io.BytesIO(content.read())) as wheel:
                yield name, dict(_licences_in(wheel))


def _licences_in(wheel: zipfile.ZipFile) -> Iterator[tuple[str, bytes]]:
    for info in wheel.infolist():
        folder, _, rest = info.filename.partition("/")
        file = rest.rpartition("/")[2]
        if folder.endswith(".dist-info") and _LICENCE.fullmatch(file):
            # The end of the path tells several apart, such as those of packages within a package.
            yield re.sub(r"[^A-Za-z0-9._-]", "-", rest)[-_LONGEST_NAME:], wheel.read(info)
