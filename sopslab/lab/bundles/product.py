"""The product as a member: its own wheel, and those of the packages that it needs, for every
Python that it may meet. `sopslab.lab.beginning` installs it."""

from __future__ import annotations

import hashlib
import io
import json
import os
import sys
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sopslab.artifacts.wheels import pip_options, requirements_for, short_name
from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.bundles import wheel
from sopslab.lab.bundles.plain import end_archive, write_file
from sopslab.lab.observe.store import BUNDLE
from sopslab.lab.store.members import (
    Counted,
    keep,
    kept_in,
    known_member,
    packed,
    packing_turn,
)
from sopslab.lab.tools import files, programs
from sopslab.lab.tools.log import log
from sopslab.lab.tools.programs import Failed
from sopslab.layout import PROJECT
from sopslab.model.bundles import PRODUCT
from sopslab.model.members import Member
from sopslab.model.store import Arch

_ABOUT = "about.json"
_DOWNLOAD_S = 900


@dataclass(frozen=True)
class Product:
    """The product that runs, for other machines: its own wheel, the packages that it needs, and for
    which processors and versions of Python."""

    own: bytes
    needed: str
    arch: Arch
    pythons: tuple[str, ...]

    @property
    def content(self) -> str:
        """The digest by which it is known once it is packed."""
        told = json.dumps([wheel_sum(self.own), self.needed, self.arch, sorted(self.pythons)])
        return hashlib.sha256(told.encode()).hexdigest()


def product_for(arch: Arch, pythons: Sequence[str]) -> Product:
    """Return the product that runs, as other machines get it."""
    return Product(wheel.build(), (PROJECT / "requirements.txt").read_text(), arch, tuple(pythons))


def pack_product(lab: Lab, product: Product) -> Member:
    """Return the member, made unless it was before from the same files, or came in a bundle.

    Raises LabError where a package cannot be had, or has no wheel for one of the Pythons.
    """
    with packing_turn(lab):
        known = known_member(lab, product.content)
        if known is not None:
            return known
        packages = _download(lab, product.needed, product.arch, product.pythons)
        new = kept_in(lab) / ".new"
        with new.open("wb") as file:
            counted = Counted(file)
            unpacked = _write(counted, packages, product)
        member = Member(
            what="product",
            name=PRODUCT,
            arch=product.arch,
            content=product.content,
            packing="tar",
            sha256=counted.sha256,
            size=counted.size,
            unpacked=unpacked,
        )
        keep(lab, member, new)
        return member


def given_pythons(lab: Lab, arch: Arch) -> tuple[str, ...]:
    """Return for which versions of Python a bundle has brought the product that runs; none where no
    bundle was loaded, or one of another product."""
    if files.read(Path(lab.root, BUNDLE)) is None:
        return ()
    for note in kept_in(lab).glob("*.json"):
        member = known_member(lab, note.stem)
        if member is None or (member.name, member.arch) != (PRODUCT, arch):
            continue
        with tarfile.open(packed(lab, member)) as archive:
            about = archive.extractfile(_ABOUT)
            pythons = json.load(about)["pythons"] if about is not None else ()
        if product_for(arch, pythons).content == member.content:
            return tuple(pythons)
    return ()


def wheels_of(product: Path) -> list[str]:
    """Return the names of the wheels that a packed product has in it."""
    with tarfile.open(product) as archive:
        return [name.partition("/")[2] for name in archive.getnames() if name.endswith(".whl")]


def wheel_sum(content: bytes) -> str:
    """Return the sum of a wheel, as requirements.txt has it."""
    return hashlib.sha256(content).hexdigest()


def _requirements(needed: str, own: bytes) -> str:
    """Return what pip installs on the other machine: it judges the conditions there."""
    name, version = wheel.file_name().split("-")[:2]
    return f"{needed.rstrip()}\n{name}=={version} --hash=sha256:{wheel_sum(own)}\n"


def _download(lab: Lab, needed: str, arch: Arch, pythons: Sequence[str]) -> Path:
    """Return the folder with the packages' wheels, kept until others are needed."""
    told = json.dumps([needed, arch, sorted(pythons)])
    folder = Path(lab.root, "wheels", f"{arch}-{hashlib.sha256(told.encode()).hexdigest()[:12]}")
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    # A killed run has left these.
    for half in folder.parent.glob(".new.*"):
        files.remove(half)
    with files.new_folder(folder) as new:
        for python in pythons:
            listing = new / "requirements.txt"
            listing.write_text(requirements_for(needed, python, arch))
            _ask_pip(new / "wheels", listing, python, arch)
        for other in folder.parent.glob(f"{arch}-*"):
            files.remove(other)
        (new / "wheels").rename(folder)
    return folder


def _ask_pip(target: Path, listing: Path, python: str, arch: Arch) -> None:
    try:
        programs.run(
            [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check",
             "--no-deps", "--require-hashes", "--only-binary", ":all:", "--dest", str(target),
             *pip_options(python, arch), "--requirement", str(listing)],
            os.environ, patience=_DOWNLOAD_S,
        )  # fmt: skip
    except Failed as failure:
        log(failure.words.rstrip(b"\n") + b"\n")
        raise LabError(
            f"a package of requirements.txt could not be had as a wheel for Python {python} on"
            f" {arch}: see above. Without an index, `sopslab bundle load` a bundle of this version;"
            " a package without wheels cannot travel, so make a bundle with `--python` for others"
        ) from None


def _write(counted: Counted, packages: Path, product: Product) -> int:
    """Write the product; return how many bytes its files have."""
    arch = product.arch
    about = json.dumps({"arch": arch, "pythons": sorted(product.pythons, key=_number)})
    contents: dict[str, bytes | Path] = {
        _ABOUT: about.encode(),
        "requirements.txt": _requirements(product.needed, product.own).encode(),
        f"wheels/{wheel.file_name()}": product.own,
        **{f"wheels/{short_name(file.name, arch)}": file for file in sorted(packages.iterdir())},
    }
    unpacked = 0
    for name, content in contents.items():
        size = content.stat().st_size if isinstance(content, Path) else len(content)
        with content.open("rb") if isinstance(content, Path) else io.BytesIO(content) as source:
            write_file(counted, name, size, source)
        unpacked += size
    end_archive(counted)
    return unpacked


def _number(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))
