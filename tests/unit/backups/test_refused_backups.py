"""A backup that is incomplete, not ours or not what it claims is refused, and nothing is
changed."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from sopslab.checks import backups
from sopslab.checks.takeover import FORMAT
from sopslab.config.settings import Settings
from sopslab.errors import Exit, LabError
from sopslab.lab.observe.formats import lab_format
from sopslab.lab.tools import age
from sopslab.model.backups import HEAD, SUMS
from sopslab.model.formats import Format, render_format
from tests.repositories import make_identity
from tests.unit.backups.backup_material import Archive, Made, write_backup

BUNDLE = "repositories/ada/lab.bundle"


def refusal(made: Made, elsewhere: Settings, file: Path) -> str:
    """Return why a backup is refused; check that nothing was changed."""
    with pytest.raises(LabError) as refused:
        made.restore(elsewhere, file)
    assert lab_format(elsewhere.for_machine) is None
    labs = Path(elsewhere.lab_dir).parent
    assert {str(path.relative_to(labs)) for path in labs.rglob("*")} == {"lab", "lab/lock"}
    assert str(refused.value).endswith("; nothing was changed")
    return str(refused.value)


def test_a_cut_file_is_refused_wherever_it_was_cut(made: Made, elsewhere: Settings) -> None:
    content, cut = made.file.read_bytes(), made.file.with_name("forged.age")
    header = content.index(b"\n---") + 1
    for size in (
        0,
        10,
        header,
        header + 60,
        len(content) // 2,
        len(content) - 17,
        len(content) - 1,
    ):
        cut.write_bytes(content[:size])
        assert "it is cut off or damaged" in refusal(made, elsewhere, cut), size


def test_a_file_that_ends_between_two_parts_is_refused(made: Made, elsewhere: Settings) -> None:
    plain = made.plain
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        members = archive.getmembers()
    # Cut at the beginning and in the middle of each kind of part; the encryption is complete.
    names = (HEAD, "files/format", "files/keys/ada.agekey", BUNDLE, SUMS)
    chosen = [member for member in members if member.name in names]
    assert len(chosen) == len(names)
    for member in chosen:
        for end in (member.offset, member.offset_data + member.size // 2):
            said = refusal(made, elsewhere, made.encrypted(plain[:end]))
            assert "is refused: it" in said, (member.name, end)


@pytest.mark.parametrize("place", [0.0, 0.05, 0.3, 0.6, 0.999])
def test_a_flipped_bit_is_refused(made: Made, elsewhere: Settings, place: float) -> None:
    content = bytearray(made.file.read_bytes())
    content[int(len(content) * place)] ^= 1
    flipped = made.file.with_name("forged.age")
    flipped.write_bytes(content)
    assert "is refused: " in refusal(made, elsewhere, flipped)


def test_whoever_has_no_identity_for_it_is_told(made: Made, elsewhere: Settings) -> None:
    other = Path(elsewhere.root, "identity")
    make_identity(other)
    stranger = Made(made.settings, made.file, other, made.recipient, made.written)
    assert "encrypted to other recipients" in refusal(stranger, elsewhere, made.file)
    other.write_text("no identity\n")
    assert "holds something else" in refusal(stranger, elsewhere, made.file)


def named(name: str, **changes: object) -> Callable[[Archive], None]:
    """Return a change that adds a member to an archive."""
    return lambda archive: archive.add(name, **changes)  # type: ignore[arg-type]


def head(**changes: object) -> Callable[[Archive], None]:
    """Return a change of the head of an archive."""
    return lambda archive: archive.rewrite(
        HEAD, lambda content: json.dumps({**json.loads(content), **changes}).encode()
    )


def an_odd_branch(archive: Archive) -> None:
    archive.rewrite(BUNDLE, lambda content: content.replace(b"refs/lab/start", b"refs/lab/..art"))


def more_behind(archive: Archive) -> None:
    archive.behind = [archive.members[1]]


def more_after_the_end(archive: Archive) -> None:
    archive.after_end = b"x" * 20_000


def other_sums(archive: Archive) -> None:
    archive.sums = {}


def half_a_bundle(archive: Archive) -> None:
    archive.rewrite(BUNDLE, lambda content: content[:-40])


def records_for_all(archive: Archive) -> None:
    archive.records = {"comment": "x"}


def zeros_after_the_end(archive: Archive) -> None:
    archive.after_end = bytes(1 << 20)


OUTSIDE = "a file in it that is not ours"
NO_FILE = "neither a file nor a folder"
HOSTILE = {
    "above": (named("files/../../../evil"), OUTSIDE),
    "above its folder": (named("../evil"), OUTSIDE),
    "absolute": (named("/etc/evil"), OUTSIDE),
    "below the root": (named("files//etc/evil"), OUTSIDE),
    "elsewhere": (named("evil"), OUTSIDE),
    "nul": (named("files/keys/a\0b"), ""),
    "link": (named("files/keys/x", type=tarfile.SYMTYPE, linkname="/etc/passwd"), NO_FILE),
    "hard link": (named("files/x", type=tarfile.LNKTYPE, linkname="files/format"), NO_FILE),
    "device": (named("files/x", type=tarfile.CHRTYPE, devmajor=1, devminor=5), NO_FILE),
    "block device": (named("files/x", type=tarfile.BLKTYPE), NO_FILE),
    "pipe": (named("files/x", type=tarfile.FIFOTYPE), NO_FILE),
    "a long name": (named(f"files/{'x' * 200_000}"), "more in it than its sums say"),
    "long records": (
        named("files/x", pax_headers={"comment": "x" * 200_000}), "more in it than its sums say",
    ),
    "records for all": (records_for_all, "damaged, or no backup of ours"),
    "zeros after the end": (zeros_after_the_end, "more in it than its sums say"),
    "twice": (named("files/format"), "a file twice"),
    "a file that is a folder": (named("files/keys"), "nothing was changed"),
    "a file in a file": (named("files/format/x"), "nothing was changed"),
    "another repository": (named("repositories/eve/lab.bundle"), "does not name"),
    "a linked bundle": (
        named("repositories/bob/lab.bundle", type=tarfile.SYMTYPE, linkname="x"), "does not name",
    ),
    "a repository above": (head(repositories=["../evil"]), "a repository that no lab has"),
    "another format": (head(format=2), "in another format"),
    "no beginning": (head(seats="many"), "no backup of ours"),
    "another lab": (head(lab="other"), "it is of the lab 'other'"),
    "more behind the end": (more_behind, "not what its sums say"),
    "more after the end": (more_after_the_end, "more in it than its sums say"),
    "other sums": (other_sums, "not what its sums say"),
    "a damaged format": (
        lambda archive: archive.rewrite("files/format", lambda _: b"{"), "which format its lab has",
    ),
    "a bundle with an odd branch": (an_odd_branch, "its repository ada/lab is damaged"),
    "a cut bundle": (half_a_bundle, "its repository ada/lab is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("case", HOSTILE)
def test_what_no_backup_of_ours_has_is_refused(made: Made, elsewhere: Settings, case: str) -> None:
    change, reason = HOSTILE[case]
    assert reason in refusal(made, elsewhere, made.forged(change))
    assert not list(Path(elsewhere.root).parent.rglob("evil"))


def test_a_folder_makes_no_room_for_headers(made: Made, elsewhere: Settings) -> None:
    plain, folder, header = made.plain, tarfile.TarInfo("files/x"), tarfile.TarInfo("x")
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        beginning = plain[: archive.getmembers()[1].offset]
    folder.type, folder.size = tarfile.DIRTYPE, 1 << 20
    header.type, header.size = tarfile.XHDTYPE, 1 << 30
    forged = made.encrypted(beginning + folder.tobuf() + header.tobuf() + bytes(200_000))
    assert "more in it than its sums say" in refusal(made, elsewhere, forged)


def test_more_than_there_is_room_for_is_refused(
    made: Made, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(made.file)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=200_000))
    assert "the disk has 0.0 GB left" in refusal(made, elsewhere, made.file)


def test_as_many_files_as_are_restored_are_backed_up_and_no_more(
    made: Made, elsewhere: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tarfile.open(fileobj=io.BytesIO(made.plain)) as archive:
        # One repository is still empty, and is no member of the archive.
        count = len(archive.getmembers()) + 1
    file = tmp_path / "f"
    monkeypatch.setattr(backups, "_MOST_FILES", count - 2)
    assert f"more than {count - 2} files" in refusal(made, elsewhere, made.file)
    with pytest.raises(LabError, match=f"more than {count - 2} files"):
        write_backup(made.settings, file, made.recipient)
    assert not file.exists()
    monkeypatch.setattr(backups, "_MOST_FILES", count)
    write_backup(made.settings, file, made.recipient)
    made.restore(elsewhere, file)


def test_names_that_take_all_memory_are_refused(
    made: Made, elsewhere: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "_MOST_LETTERS", 500)
    assert "names of more than 500 letters" in refusal(made, elsewhere, made.file)


def test_what_follows_the_archive_is_refused(made: Made, elsewhere: Settings) -> None:
    lab, twice = made.settings.for_machine, made.file.with_name("forged.age")
    packed = zstandard.ZstdCompressor().compress(made.plain)
    with twice.open("wb") as to, age.encrypting(lab, [made.recipient], to) as plain:
        plain.write(packed + packed)
    assert "more in it than its sums say" in refusal(made, elsewhere, twice)


def test_a_lab_of_a_newer_format_is_refused_and_one_of_an_older_is_not(
    made: Made, elsewhere: Settings
) -> None:
    def of_format(number: int) -> Callable[[Archive], None]:
        text = render_format(Format(number, "9.1.0")).encode()
        return lambda archive: archive.rewrite("files/format", lambda _: text)

    newer = made.forged(of_format(FORMAT + 1))
    assert f"the lab has format {FORMAT + 1}" in refusal(made, elsewhere, newer)
    with pytest.raises(LabError) as refused:
        made.restore(elsewhere, newer)
    assert refused.value.code is Exit.FORMAT

    def without_format(archive: Archive) -> None:
        archive.members = [each for each in archive.members if each[0].name != "files/format"]

    made.restore(elsewhere, made.forged(without_format))
    assert lab_format(elsewhere.for_machine) == Format(0)


def test_what_this_version_makes_anew_is_passed_over(made: Made, elsewhere: Settings) -> None:
    gate = "git/etc/gate"
    config = "git/repositories/ada/lab.git/config"
    elsewhere_too = "git/repositories/eve.git"

    def older(archive: Archive) -> None:
        archive.add(f"files/{gate}", b"#!/bin/sh\n")
        archive.add(f"files/{elsewhere_too}", b"gitdir: /tmp\n")
        archive.add(f"files/{config}", b"[core]\n\thooksPath = /tmp\n")

    made.restore(elsewhere, made.forged(older))
    assert not Path(elsewhere.lab_dir, gate).exists()
    assert not Path(elsewhere.lab_dir, elsewhere_too).exists()
    assert b"hooksPath" not in Path(elsewhere.lab_dir, config).read_bytes()
