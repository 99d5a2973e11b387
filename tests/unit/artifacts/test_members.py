"""Entries of the store that travel: their bytes are the same each time, and a hostile one leaves
nothing."""

from __future__ import annotations

import hashlib
import io
import itertools
import json
import os
import tarfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.observe.store import MANIFEST, STAMP, store_state, stored_entry
from sopslab.lab.store import members as module
from sopslab.lab.store.members import (
    Refused,
    held,
    keep,
    kept_in,
    known_member,
    pack,
    packed,
    packing_turn,
    unpack,
    using,
    write_entry,
)
from sopslab.model.members import Member, content_of
from tests.interrupted import killed_in_child
from tests.texts import write_files
from tests.unit.artifacts.conftest import entry, publish

TOOL = entry("tool", "bin/tool")


@pytest.fixture
def other(lab: Callable[..., Settings]) -> Lab:
    """A lab on another machine."""
    return lab(root=f"{lab().root}-other").for_machine


def listing(place: Lab) -> set[str]:
    """Return the paths of everything in a store."""
    return {str(path.relative_to(place.store)) for path in Path(place.store).rglob("*")}


def packed_tar(*found: tuple[tarfile.TarInfo, bytes]) -> bytes:
    """Return a compressed archive of these members, valid or not."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, content in found:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return zstandard.ZstdCompressor().compress(buffer.getvalue())


def member_of(data: bytes, unpacked: int, wanted: Member) -> Member:
    """Return the description that an honest sender gives of these bytes."""
    sum_of = hashlib.sha256(data).hexdigest()
    return replace(wanted, sha256=sum_of, size=len(data), unpacked=unpacked)


def test_an_entry_arrives_as_it_was_and_is_whole_there(place: Lab, other: Lab) -> None:
    publish(place, {"bin/tool": b"program", "files/a/b.txt": b"text"})
    (member,) = pack(place, ["tool-1.0"])
    with packed(place, member).open("rb") as stream:
        unpack(other, member, stream)
    assert store_state(other, images=[]).fault(TOOL) is None
    assert held(other) == held(place) == {"tool-1.0": member.content}
    folder = Path(other.store, "tool-1.0")
    stored = stored_entry(folder)
    # Its sums are known, so no file has to be read again.
    assert stored is not None and stored.doubtful() == []
    assert (folder / "files/a/b.txt").read_bytes() == b"text"
    assert (folder / "bin/tool").stat().st_mode & 0o777 == 0o755
    assert (folder / "files/a/b.txt").stat().st_mode & 0o777 == 0o644
    assert folder.stat().st_mode & 0o777 == 0o755


def test_members_that_follow_one_another_are_told_apart(place: Lab, other: Lab) -> None:
    for name in ("one", "two"):
        publish(place, {"bin/a": os.urandom(5000)}, name)
    members = pack(place, ["one-1.0", "two-1.0"])
    stream = io.BytesIO(b"".join(packed(place, each).read_bytes() for each in members) + b"more")
    for member in members:
        unpack(other, member, stream)
    assert held(other).keys() == {"one-1.0", "two-1.0"}
    assert stream.read() == b"more"


def test_an_entry_is_packed_once_and_the_same_way_anywhere(place: Lab, other: Lab) -> None:
    files = {"bin/tool": os.urandom(3_000_000), "files/b": b"b", "files/a": b"a"}
    publish(place, files)
    (first,) = pack(place, ["tool-1.0"])
    written = packed(place, first).stat()
    assert pack(place, ["tool-1.0"]) == [first]
    assert packed(place, first).stat().st_mtime_ns == written.st_mtime_ns
    # The same entry, made at another time, in another order and with another umask.
    folder = publish(other, dict(reversed(files.items())))
    (folder / "files/a").chmod(0o600)
    os.utime(folder / "files/b", (1, 1))
    assert pack(other, ["tool-1.0"]) == [first]


def test_it_is_packed_alike_on_machines_with_more_processors(
    place: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A small entry would be packed by a single worker.
    text = "".join(hashlib.sha256(b"%d" % number).hexdigest() for number in range(280_000))
    folder = publish(place, {"bin/tool": text.encode()})
    make = zstandard.ZstdCompressor
    sums = {write_entry(folder, io.BytesIO()).sha256}
    for workers in (1, 3):
        monkeypatch.setattr(
            zstandard,
            "ZstdCompressor",
            lambda workers=workers, **told: make(**{**told, "threads": workers}),
        )
        sums.add(write_entry(folder, io.BytesIO()).sha256)
    assert len(sums) == 1


def test_what_is_not_whole_does_not_travel(place: Lab) -> None:
    folder = publish(place, {"bin/tool": b"program"})
    (folder / "bin/tool").write_bytes(b"another")
    assert held(place) == {}
    for key in ("tool-1.0", "absent-1.0", "../labs", ".", ""):
        with pytest.raises(LabError, match="is not in the store, or not whole"):
            pack(place, [key])


def test_members_go_with_their_entries_and_with_killed_runs(place: Lab) -> None:
    for name in ("stays", "goes"):
        publish(place, {"bin/a": name.encode()}, name)
    stays, goes = pack(place, ["stays-1.0", "goes-1.0"])
    kept = Path(place.root, "members")
    (kept / ".new").write_text("half")
    publish(place, {"bin/a": b"another"}, "goes")
    with using(place, ""):
        assert packed(place, stays).exists() and not packed(place, goes).exists()
    assert sorted(path.suffix for path in kept.iterdir()) == [".json", ".lock", ".lock", ".zst"]
    assert pack(place, ["stays-1.0"]) == [stays]


def test_of_products_the_one_that_is_wanted_stays(place: Lab) -> None:
    older, newer = (product(place, letter) for letter in "ab")
    with using(place, newer.content):
        assert packed(place, newer).exists() and not packed(place, older).exists()
    assert known_member(place, older.content) is None


def test_nothing_goes_that_a_running_delivery_uses(place: Lab) -> None:
    older, newer = (product(place, letter) for letter in "ab")
    publish(place, {"bin/a": b"first"}, "changes")
    (entry,) = pack(place, ["changes-1.0"])
    with ExitStack() as deliveries:
        deliveries.enter_context(using(place, newer.content))
        # The first delivery has removed this product; a second delivery packs it again.
        older = product(place, "a")
        publish(place, {"bin/a": b"second"}, "changes")
        deliveries.enter_context(using(place, older.content))
        assert all(packed(place, each).exists() for each in (older, newer, entry))
    with using(place, older.content):
        assert [packed(place, each).exists() for each in (older, newer, entry)] == [
            True, False, False,
        ]  # fmt: skip


def product(place: Lab, letter: str) -> Member:
    """Add a product to the packed entries."""
    made = Member("product", "product", "amd64", letter * 64, "tar", letter * 64, 1, 1)
    with packing_turn(place):
        new = kept_in(place) / ".new"
        new.write_text(letter)
        keep(place, made, new)
    return made


_NAMES = st.lists(
    st.text(st.sampled_from("ab.-_é"), min_size=1, max_size=30).filter(
        lambda name: name not in (".", "..")
    ),
    min_size=1,
    max_size=6,
).map("/".join)


@settings(max_examples=30)
@given(files=st.dictionaries(_NAMES, st.binary(max_size=3000), min_size=1, max_size=8))
def test_whatever_an_entry_has_in_it_arrives(
    files: dict[str, bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    files = {f"files/{name}": text for name, text in files.items()}
    # A path cannot be both a file and a folder.
    files = {
        name: text
        for name, text in files.items()
        if not any(other.startswith(f"{name}/") for other in files)
    }
    root = tmp_path_factory.mktemp("store")
    made = root / "tool-1.0"
    write_files(made, files)
    sums = {name: hashlib.sha256(text).hexdigest() for name, text in sorted(files.items())}
    (made / MANIFEST).write_text(json.dumps({**TOOL.manifest, "files": sums}))
    buffer = io.BytesIO()
    member = write_entry(made, buffer)
    buffer.seek(0)
    module.unpack_beside(root / "arrived", member, buffer)
    found = {
        str(path.relative_to(root / "arrived")): path.read_bytes()
        for path in (root / "arrived").rglob("*")
        if path.is_file() and path.name not in (MANIFEST, STAMP)
    }
    assert found == files


def altered(data: bytes, how: str) -> bytes:
    middle = len(data) // 2
    return {
        "truncated": data[:middle],
        "without its end": data[:-1],
        "altered": data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :],
        "empty": b"",
        "another": data[::-1],
    }[how]


@pytest.mark.parametrize("how", ["truncated", "without its end", "altered", "empty", "another"])
def test_bytes_that_are_not_the_members_leave_nothing(how: str, place: Lab, other: Lab) -> None:
    publish(place, {"bin/tool": os.urandom(200_000)})
    (member,) = pack(place, ["tool-1.0"])
    stream = io.BytesIO(altered(packed(place, member).read_bytes(), how))
    with pytest.raises(Refused, match=r"cut off: \d+ of|sum is another one") as refused:
        unpack(other, member, stream)
    assert len(str(refused.value).splitlines()) == 1
    assert listing(other) == set()


def test_what_was_there_stays_until_the_new_one_is_whole(place: Lab, other: Lab) -> None:
    publish(other, {"bin/tool": b"old"})
    before = listing(other)
    publish(place, {"bin/tool": os.urandom(9000)})
    (member,) = pack(place, ["tool-1.0"])
    data = packed(place, member).read_bytes()
    with pytest.raises(Refused):
        unpack(other, member, io.BytesIO(data[:-4]))
    assert listing(other) == before
    unpack(other, member, io.BytesIO(data))
    assert held(other) == {"tool-1.0": member.content}
    assert listing(other) == before


def file(name: str, content: bytes = b"x", **more: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for attribute, value in more.items():
        setattr(info, attribute, value)
    return info, content


OUT, KIND = "leads out of its folder", "is neither a file nor a folder"
TWICE, MORE = "is there twice", "has more in it than was said"
HOSTILE: dict[str, tuple[str, list[tuple[tarfile.TarInfo, bytes]]]] = {
    "above": (OUT, [file("../../../../escaped")]),
    "above within": (OUT, [file("files/../../../../../escaped")]),
    "absolute": (OUT, [file("/tmp/sops-lab-escaped")]),
    "dot": (OUT, [file("./files/a")]),
    "empty part": (OUT, [file("files//a")]),
    "too long": (OUT, [file("a" * 600)]),
    "link out": (KIND, [file("out", b"", type=tarfile.SYMTYPE, linkname="../.."), file("out/a")]),
    "hard link": (KIND, [file("out", b"", type=tarfile.LNKTYPE, linkname="/etc/passwd")]),
    "device": (KIND, [file("device", b"", type=tarfile.CHRTYPE, devmajor=1, devminor=3)]),
    "fifo": (KIND, [file("fifo", b"", type=tarfile.FIFOTYPE)]),
    "twice": (TWICE, [file("files/a"), file("files/a")]),
    "folder that is a file": (TWICE, [file("files"), file("files/a")]),
    "too large": (MORE, [file("bin/tool", bytes(2_000_000))]),
    "too small": ("has less in it than was said", [file("bin/tool", b"")]),
    "other files": ("is not what its manifest says", [file("bin/other", b"x" * 9)]),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_an_archive_that_is_not_an_entry_leaves_nothing(what: str, place: Lab, other: Lab) -> None:
    """The sum is right: the sender describes the archive truthfully."""
    said, found = HOSTILE[what]
    folder = publish(place, {"bin/tool": b"program!!"})
    (member,) = pack(place, ["tool-1.0"])
    manifest = file(MANIFEST, (folder / MANIFEST).read_bytes())
    data = packed_tar(manifest, *found)
    with pytest.raises(Refused, match=said) as refused:
        unpack(other, member_of(data, member.unpacked, member), io.BytesIO(data))
    assert len(str(refused.value).splitlines()) == 1
    assert listing(other) == set()
    assert not list(Path(other.root).parent.rglob("escaped"))


def test_a_header_that_says_it_is_endless_is_not_read_into_memory(place: Lab, other: Lab) -> None:
    publish(place, {"bin/tool": b"program"})
    (member,) = pack(place, ["tool-1.0"])
    header = tarfile.TarInfo("name")
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    data = zstandard.ZstdCompressor().compress(header.tobuf(tarfile.GNU_FORMAT) + bytes(1 << 27))
    with pytest.raises(Refused, match="goes on for longer than was said"):
        unpack(other, member_of(data, member.unpacked, member), io.BytesIO(data))


@pytest.mark.parametrize(
    "lie",
    [
        {"name": "other-1.0"},
        {"arch": "arm64"},
        {"content": "0" * 64},
        {"what": "product"},
        {"packing": "tar"},
        {"name": "../escaped"},
        {"name": ".hidden"},
    ],
    ids=str,
)
def test_an_entry_that_is_called_something_else_leaves_nothing(
    lie: dict[str, str], place: Lab, other: Lab
) -> None:
    publish(place, {"bin/tool": b"program"})
    (member,) = pack(place, ["tool-1.0"])
    with pytest.raises(Refused), packed(place, member).open("rb") as stream:
        unpack(other, replace(member, **lie), stream)  # type: ignore[arg-type]
    assert listing(other) == set()


def test_one_byte_in_the_manifest_makes_another_content() -> None:
    manifest = {**TOOL.manifest, "files": {"bin/tool": "0" * 64}}
    other = {**manifest, "files": {"bin/tool": "1" * 64}}
    assert content_of(manifest) == content_of(dict(reversed(manifest.items())))
    assert content_of(manifest) != content_of(other)


def test_whenever_an_arrival_is_killed_an_entry_is_whole_or_not_there(
    place: Lab, other: Lab
) -> None:
    publish(place, {"bin/tool": os.urandom(2000), "files/a": b"a"})
    (member,) = pack(place, ["tool-1.0"])
    data = packed(place, member).read_bytes()
    for old in (None, b"old"):
        for number in itertools.count(1):
            if old is not None:
                publish(other, {"bin/tool": old})
            killed = killed_in_child(
                number, Path(other.store), lambda: unpack(other, member, io.BytesIO(data))
            )
            assert store_state(other, images=[]).fault(TOOL) in (None, "tool-1.0 is missing")
            if not killed:
                break
        assert number > 4
        assert held(other) == {"tool-1.0": member.content}
