"""Entries of the store on their way: packed once for all who want them, and unpacked beside the
store, so that nothing counts before its sum is right.

The same entry gives the same bytes: files are sorted, root's, of no time, and may be read by
everybody. Python's own filter for archives lets pass what no entry has, such as links; here only
files and folders are let pass, and no more of them than was said.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol, cast

import zstandard

from sopslab.config.places import Lab
from sopslab.errors import LabError
from sopslab.files.bounded import Bounded, Stream
from sopslab.lab.observe.store import MANIFEST, STAMP, stamped, stored_entry
from sopslab.lab.store.bench import put, stamp
from sopslab.lab.tools import files
from sopslab.lab.tools.locks import locked
from sopslab.model.members import Member, content_of
from sopslab.model.store import Entry
from sopslab.model.wire import decode, decoded, encode

# 6 % fewer bytes than at level 6, and 12 % fewer than at 3: for each seat, while the time is paid
# once.
_LEVEL = 10
# More than that level asks for; what asks for more is not ours.
_WINDOW = 1 << 25
_PIECE = 1 << 20
_TURN_S = 900
_PACKING, _USE = "packing.lock", "use.lock"
# No entry has a thousand files, and none of them a name that is half as long.
_MOST_FILES = 10_000
_LONGEST_NAME = 500
# What an archive has around its files: a header for each, and its end.
_AROUND = _MOST_FILES * 1536 + (1 << 16)
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~-]{0,200}")


class Sink(Protocol):
    """What bytes are written to, one after the other."""

    def write(self, piece: bytes, /) -> int: ...


class Refused(LabError):
    """What came is not what was said; the sentence names it."""


def held(lab: Lab) -> dict[str, str]:
    """Return the digest of each entry of the store that is whole, by its folder."""
    return {
        folder.name: content_of(json.loads((folder / MANIFEST).read_bytes()))
        for folder in files.entries(lab.store)
        if not folder.name.startswith(".") and is_whole(folder)
    }


def is_whole(folder: Path) -> bool:
    """Whether a folder of the store holds what its own manifest says."""
    stored = stored_entry(folder)
    if stored is None:
        return False
    try:
        entry = _entry_of(stored.manifest)
    except ValueError:
        return False
    return entry.key == folder.name and stored.fault(entry) is None


def _entry_of(manifest: Mapping[str, Any]) -> Entry:
    """Return the entry that a manifest is of. Raises ValueError where it is none's."""
    own = {name: text for name, text in manifest.items() if name != "files"}
    entry: Entry = decode(Entry, {**own, "files": []})
    return entry


def pack(lab: Lab, keys: Sequence[str]) -> list[Member]:
    """Return the members of entries of the store, each packed unless it was before.

    Raises LabError where an entry is not there or not whole.
    """
    with packing_turn(lab):
        return [_pack(lab, key) for key in keys]


def packed(lab: Lab, member: Member) -> Path:
    """Return where the bytes of a member are kept that was packed here."""
    return kept_in(lab) / member.file


@contextmanager
def using(lab: Lab, product: str) -> Iterator[None]:
    """Have what was packed stay in the block, whatever others pack meanwhile. Before it, what is of
    no use any more is removed, unless others are in such a block.

    + product: the digest of the product that is going to be used
    """
    with packing_turn(lab):
        descriptor = os.open(kept_in(lab) / _USE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _clean(lab, product)
        # Whoever wants it alone, has the turn to pack.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def unused(lab: Lab) -> Iterator[bool]:
    """Keep others from packing, and from using what was packed, in the block; yield whether that is
    possible, or others do so now."""
    free = True
    with ExitStack() as locks:
        if kept_in(lab).is_dir():
            try:
                for name in (_PACKING, _USE):
                    locks.enter_context(locked(kept_in(lab) / name, 0, "it is in use"))
            except LabError:
                free = False
        yield free


def _clean(lab: Lab, product: str) -> None:
    """Remove the members whose entries are not in the store any more, other products, and what
    killed runs left."""
    known = {*held(lab).values(), product}
    wanted: set[str] = set()
    for note in kept_in(lab).glob("*.json"):
        member = noted(note)
        if member is not None and member.content in known:
            wanted |= {note.name, member.file}
    for file in kept_in(lab).iterdir():
        if file.suffix != ".lock" and file.name not in wanted:
            files.remove(file)


def unpack(lab: Lab, member: Member, stream: Stream) -> None:
    """Have an entry in the store: what a stream has next, read to the last byte of the member and
    no further. What is there already stays until the new one is whole.

    Raises Refused where the bytes are not the member's, and leaves nothing of them.
    """
    store = Path(lab.store)
    store.mkdir(parents=True, exist_ok=True)
    with files.new_folder(store / member.name) as new:
        unpack_beside(new / "entry", member, stream)
        put(new / "entry", store / member.name)


def unpack_beside(folder: Path, member: Member, stream: Stream) -> None:
    """Have an entry in a folder that is not in the store. Raises Refused as `unpack`."""
    if member.what != "entry" or member.packing != "zstd" or not _KEY.fullmatch(member.name):
        raise Refused(f"{member.name[:80]!r} is no entry of a store")
    bytes_of = Measured(stream, member.size)
    try:
        source = cast(IO[bytes], bytes_of)
        with zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(source) as plain:
            longer = Refused("an archive goes on for longer than was said")
            bounded = Bounded(plain, member.unpacked + _AROUND, longer)
            _extract(bounded, folder, member.unpacked)
    except (zstandard.ZstdError, tarfile.TarError) as error:
        # That it is cut off, or altered, says more.
        bytes_of.finish(member)
        raise Refused(f"{member.name} is damaged: {_words(error)}") from None
    bytes_of.finish(member)
    _check(folder, member)
    stamp(folder)
    folder.chmod(0o755)


class Measured:
    """The next bytes of a stream, so many and no more, and their sum."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream = stream
        self._left = size
        self._sum = hashlib.sha256()

    def read(self, size: int = -1, /) -> bytes:
        """Return the next of them, nothing at their end."""
        wanted = self._left if size < 0 else min(size, self._left)
        piece = self._stream.read(wanted) if wanted else b""
        self._left -= len(piece)
        self._sum.update(piece)
        return piece

    def finish(self, member: Member) -> None:
        """Read what is left. Raises Refused where the bytes are not the member's."""
        while self.read(_PIECE):
            pass
        if self._left:
            raise Refused(
                f"{member.name} is cut off: {self._left} of {member.size} bytes are missing"
            )
        if self._sum.hexdigest() != member.sha256:
            raise Refused(f"{member.name} is not what was said: its sum is another one")


def _extract(plain: Stream, folder: Path, unpacked: int) -> None:
    """Have the files of an archive in a new folder.

    Raises Refused for anything but files and folders inside, and for more than was said.

    + unpacked: the bytes of its files
    """
    folder.mkdir(mode=0o755)
    left, count = unpacked, 0
    with tarfile.open(fileobj=cast(IO[bytes], plain), mode="r|", bufsize=_PIECE) as archive:
        for found in archive:
            count += 1
            target = folder / _inside(found)
            if count > _MOST_FILES or not 0 <= found.size <= left:
                raise Refused(f"{folder.name} has more in it than was said")
            try:
                content = archive.extractfile(found)
                (target if content is None else target.parent).mkdir(parents=True, exist_ok=True)
                if content is not None:
                    _write(target, content, 0o755 if found.mode & 0o111 else 0o644)
            except (FileExistsError, NotADirectoryError):
                raise Refused(f"{found.name[:80]!r} is there twice") from None
            left -= found.size
    if left:
        raise Refused(f"{folder.name} has less in it than was said")


def _inside(found: tarfile.TarInfo) -> PurePosixPath:
    """Return the path of what an archive has. Raises Refused where it leads anywhere else, or is of
    another kind than we pack."""
    name = found.name
    if found.type not in (tarfile.REGTYPE, tarfile.DIRTYPE) or found.issparse():
        raise Refused(f"{name[:80]!r} is neither a file nor a folder")
    parts = name.split("/")
    odd = {"", ".", ".."} & set(parts) or "\0" in name or "\\" in name
    if odd or len(name) > _LONGEST_NAME:
        raise Refused(f"{name[:80]!r} leads out of its folder")
    return PurePosixPath(name)


def _write(target: Path, content: IO[bytes], mode: int) -> None:
    with target.open("xb") as file:
        shutil.copyfileobj(content, file, _PIECE)
        os.fchmod(file.fileno(), mode)


def _check(folder: Path, member: Member) -> None:
    """Raise Refused where what was unpacked is not the entry that was said."""
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
        entry, content = _entry_of(manifest), content_of(manifest)
    except (OSError, ValueError, AttributeError):
        raise Refused(f"{member.name} has no manifest that can be read") from None
    found = {name: files.sha256(folder / name) for name in stamped(folder)}
    if (
        (entry.key, entry.arch, content) != (member.name, member.arch, member.content)
        or found != manifest.get("files")
        or (folder / STAMP).exists()
    ):
        raise Refused(f"{member.name} is not what its manifest says")


def _pack(lab: Lab, key: str) -> Member:
    folder = Path(lab.store, key)
    if not _KEY.fullmatch(key) or not is_whole(folder):
        raise LabError(f"{key} is not in the store, or not whole: run `sopslab fetch`")
    manifest = (folder / MANIFEST).read_bytes()
    content = content_of(json.loads(manifest))
    known = known_member(lab, content)
    if known is not None:
        return known
    new = kept_in(lab) / ".new"
    with new.open("wb") as file:
        member = write_entry(folder, file)
    keep(lab, member, new)
    return member


def keep(lab: Lab, member: Member, file: Path) -> None:
    """Have a file in its place that holds a member, and on record what that is."""
    file.rename(packed(lab, member))
    files.write(_note(lab, member.content), json.dumps(encode(member)), 0o644)


def known_member(lab: Lab, content: str) -> Member | None:
    """Return the member that was packed of something, None where none is kept, or only a file of
    another size: a loss of power, or a copy of the root that was cut off, leaves one."""
    member = noted(_note(lab, content))
    if member is None:
        return None
    file = packed(lab, member)
    return member if file.is_file() and file.stat().st_size == member.size else None


def _note(lab: Lab, content: str) -> Path:
    return kept_in(lab) / f"{content}.json"


def write_entry(folder: Path, file: IO[bytes]) -> Member:
    """Write an entry of the store as it travels; return the member that it is."""
    manifest = json.loads((folder / MANIFEST).read_bytes())
    counted = Counted(file)
    # With any number of workers the bytes are the same; without one they are others.
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, threads=-1)
    with compressor.stream_writer(cast(IO[bytes], counted), closefd=False) as packing:
        unpacked = write_archive(packing, folder, [MANIFEST, *sorted(stamped(folder))])
    return Member(
        what="entry",
        name=folder.name,
        arch=manifest["arch"],
        content=content_of(manifest),
        packing="zstd",
        sha256=counted.sha256,
        size=counted.size,
        unpacked=unpacked,
    )


def write_archive(file: Sink, folder: Path, names: Sequence[str]) -> int:
    """Write an archive of files of a folder: the same bytes for the same files. Return how many
    bytes the files have."""
    unpacked = 0
    sink = cast(IO[bytes], file)
    form = tarfile.GNU_FORMAT
    with tarfile.open(fileobj=sink, mode="w|", format=form, bufsize=_PIECE) as archive:
        for name in names:
            path = folder / name
            found = path.stat()
            member = tarfile.TarInfo(name)
            member.size = found.st_size
            member.mode = 0o755 if found.st_mode & 0o111 else 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)
            unpacked += found.st_size
    return unpacked


class Counted:
    """A file that is being written, with the size and the sum of what was."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes, /) -> int:
        self._file.write(piece)
        self._sum.update(piece)
        self.size += len(piece)
        return len(piece)

    @property
    def sha256(self) -> str:
        """The sum of all that was written."""
        return self._sum.hexdigest()


def _words(error: Exception) -> str:
    return " ".join(str(error).split())[:120] or type(error).__name__


def noted(note: Path) -> Member | None:
    """Return what is on record, None where nothing is."""
    return decoded(Member, files.read(note))


def kept_in(lab: Lab) -> Path:
    """Return the folder of what was packed here."""
    return Path(lab.root, "members")


@contextmanager
def packing_turn(lab: Lab) -> Iterator[None]:
    kept_in(lab).mkdir(parents=True, exist_ok=True)
    with locked(
        kept_in(lab) / _PACKING,
        _TURN_S,
        f"another run has been packing for {_TURN_S / 60:.0f} minutes: end it, then run again",
        "waiting for another run that is packing",
    ):
        yield
