"""A bundle, checked and loaded: nothing of it is used before it is known to be whole and somebody's
who is trusted."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.lab.beginning import REMEMBERED, Archive, Parts, Refused, verified_manifest
from sopslab.lab.bundles.filling import awaited_turn, check_space, record
from sopslab.lab.bundles.writing import Other, Progress
from sopslab.lab.store.bench import put
from sopslab.lab.store.members import (
    Measured,
    held,
    keep,
    kept_in,
    known_member,
    packed,
    packing_turn,
    unpack_beside,
)
from sopslab.lab.store.members import Refused as MemberRefused
from sopslab.lab.tools import files
from sopslab.model.bundles import FORMAT, BundleManifest, LoadedBundle
from sopslab.model.members import Member
from sopslab.model.store import Arch
from sopslab.model.wire import decode

# In the store, while a bundle is being unpacked.
_BESIDE = ".bundle"
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Trust:
    """Whose bundles are taken: those of a file of allowed signers, and unsigned ones if told so."""

    signers: Path | None = None
    unsigned: bool = False


@dataclass(frozen=True)
class Loaded:
    """What was loaded: the manifest, and the entries of the store that were not there before."""

    manifest: BundleManifest
    entries: tuple[str, ...]


def verify(lab: Lab, file: Path, trust: Trust, progress: Progress) -> BundleManifest:
    """Return the manifest of a bundle once every byte of it is what that says.

    Raises LabError where it is not, or is by nobody who is trusted.
    """
    with _refusals(file):
        archive, manifest, _ = _open(lab, file, trust)
        for member in _members(archive, manifest, progress):
            _pass_over(archive, member)
        archive.end()
    return manifest


def load(lab: Lab, file: Path, trust: Trust, arch: Arch, progress: Progress) -> Loaded:
    """Put all that a bundle has into the store, or nothing, and trust its signer from then on.

    Raises LabError where the bundle is refused, is for other processors, or does not fit.
    """
    with _refusals(file):
        archive, manifest, sum_of = _open(lab, file, trust)
        if arch not in manifest.arches:
            raise Refused(f"it is for {', '.join(manifest.arches)}, and this machine is {arch}")
        with awaited_turn(lab):
            there = held(lab)
            missing = {
                member.name: member
                for member in manifest.entries(arch)
                if there.get(member.name) != member.content
            }
            # With it, this machine can give others what it was given, and asks no index.
            product = manifest.product_for(arch)
            if product is not None and known_member(lab, product.content) is None:
                missing[product.name] = product
            beside = Path(lab.store, _BESIDE)
            # A killed run has left it.
            files.remove(beside)
            if missing:
                check_space(lab, missing.values())
                try:
                    _unpack(archive, manifest, missing, beside, progress)
                    for name, member in missing.items():
                        _put(lab, beside / name, member)
                finally:
                    files.remove(beside)
            entries = {member.name: member.content for member in manifest.entries(arch)}
            record(lab, LoadedBundle(sum_of, manifest.product, manifest.source, entries))
            _remember(lab, trust.signers)
    new = tuple(name for name, member in missing.items() if member.what == "entry")
    return Loaded(manifest, new)


def _put(lab: Lab, unpacked: Path, member: Member) -> None:
    """Put a member in its place: an entry in the store, the product with what was packed here."""
    if member.what == "entry":
        put(unpacked, Path(lab.store, member.name))
    else:
        with packing_turn(lab):
            keep(lab, member, unpacked)


def take_in(lab: Lab, file: Path, trust: Trust, progress: Progress) -> Other:
    """Return what a bundle of other processors has, whose members are kept from then on to be
    written into another one.

    Raises LabError where it is refused.
    """
    with _refusals(file), packing_turn(lab):
        archive, manifest, _ = _open(lab, file, trust)
        texts: dict[str, bytes] = {}
        for member in _members(archive, manifest, progress, texts):
            new = kept_in(lab) / ".new"
            _copy(archive, member, new)
            new.rename(packed(lab, member))
        archive.end()
    return Other(manifest, texts)


def _open(lab: Lab, file: Path, trust: Trust) -> tuple[Archive, BundleManifest, str]:
    """Return a bundle behind its manifest, that, and its sum."""
    archive = Archive(Parts(file))
    told = verified_manifest(archive, trust.signers or Path(lab.root, REMEMBERED), trust.unsigned)
    try:
        plain = json.loads(told)
        if plain.get("format") != FORMAT:
            raise Refused("it is of another version of sops-lab, in another format")
        manifest: BundleManifest = decode(BundleManifest, plain)
        # They become names of files.
        if not all(_DIGEST.fullmatch(member.content) for member in manifest.members):
            raise ValueError
    except (ValueError, AttributeError):
        raise Refused("its manifest cannot be read") from None
    return archive, manifest, hashlib.sha256(told).hexdigest()


def _members(
    archive: Archive,
    manifest: BundleManifest,
    progress: Progress,
    texts: dict[str, bytes] | None = None,
) -> Iterator[Member]:
    """Yield each member when it comes next, behind all other files; whoever takes one reads it.

    + texts: where those files are kept, if anybody wants them
    """
    for file in manifest.files:
        _expect(archive, file.name, file.size)
        text = archive.whole(file.size)
        if hashlib.sha256(text).hexdigest() != file.sha256:
            raise Refused(f"{file.name} is not what its manifest says")
        if texts is not None:
            texts[file.name] = text
    total, done = sum(member.size for member in manifest.members), 0
    for member in manifest.members:
        progress(member.name, done, total)
        _expect(archive, f"members/{member.file}", member.size)
        yield member
        done += member.size


def _expect(archive: Archive, name: str, size: int) -> None:
    if archive.next() != (name, size):
        raise Refused(f"{name} is not where its manifest says")


def _pass_over(archive: Archive, member: Member) -> None:
    Measured(archive, member.size).finish(member)


def _unpack(
    archive: Archive,
    manifest: BundleManifest,
    missing: dict[str, Member],
    beside: Path,
    progress: Progress,
) -> None:
    """Write what is missing to a folder, once the whole bundle is what it should be."""
    beside.mkdir()
    for member in _members(archive, manifest, progress):
        if missing.get(member.name) != member:
            _pass_over(archive, member)
        elif member.what == "entry":
            unpack_beside(beside / member.name, member, archive)
        else:
            _copy(archive, member, beside / member.name)
    archive.end()


def _copy(archive: Archive, member: Member, target: Path) -> None:
    """Write the bytes of a member. Raises Refused where they are not the member's."""
    with target.open("wb") as file:
        measured = Measured(archive, member.size)
        shutil.copyfileobj(measured, file, 1 << 20)
    measured.finish(member)


def _remember(lab: Lab, signers: Path | None) -> None:
    if signers is not None:
        text = signers.read_bytes()
        if files.read(Path(lab.root, REMEMBERED)) != text:
            files.write(Path(lab.root, REMEMBERED), text, 0o644)


@contextmanager
def _refusals(file: Path) -> Iterator[None]:
    """Name the bundle in every refusal of the block."""
    try:
        yield
    except (Refused, MemberRefused) as reason:
        raise LabError(f"{file.name} is refused: {reason}; nothing was changed") from None
