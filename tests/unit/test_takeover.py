"""Labs of older versions, taken over for real: nothing that exists only once is touched."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sopslab import __version__
from sopslab.checks import takeover
from sopslab.checks.takeover import FORMAT, Change, Migration
from sopslab.config.settings import Settings
from sopslab.lab.act import takeover as act
from sopslab.lab.observe.formats import lab_format
from sopslab.model.formats import Format
from sopslab.provision.operations import lab as operations
from tests import kept_labs
from tests.fake import Applied, would_run
from tests.interrupted import killed_before_change
from tests.repositories import decrypt, public_key

Content = Mapping[str, bytes]
COUNTS = {"class/seats/ada/issue": b"1\n", "class/seats/bob/issue": b"2\n"}


def contents(folder: Path) -> dict[str, bytes]:
    """Return the mode and the content of each file in a folder, by path."""
    return {
        str(path.relative_to(folder)): f"{path.stat().st_mode:o} ".encode() + path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def commits(folder: Path) -> dict[str, str]:
    """Return the references of each repository of a lab, after checking all of its objects."""
    found = {}
    for head in sorted(folder.rglob("HEAD")):
        git = ["git", "-c", "safe.directory=*", "--git-dir", str(head.parent)]
        if (head.parent / "objects").is_dir():
            subprocess.run([*git, "fsck", "--full", "--strict", "--no-progress"], check=True)
            listed = subprocess.run(
                [*git, "for-each-ref"], check=True, capture_output=True, text=True
            )
            found[str(head.parent.relative_to(folder))] = listed.stdout
    return found


@pytest.fixture(params=kept_labs.versions())
def kept(request: pytest.FixtureRequest, lab: Callable[..., Settings]) -> Settings:
    """A lab that a released version made."""
    settings = lab(lab=kept_labs.NAME, git_port=kept_labs.PORT)
    kept_labs.unpack(settings, request.param)
    return settings


@pytest.fixture
def counted(lab: Callable[..., Settings]) -> Settings:
    """A small lab without a format number, with counts of accesses."""
    settings = lab()
    Path(settings.keys_dir).mkdir(parents=True)
    for path, content in COUNTS.items():
        file = Path(settings.lab_dir, path)
        file.parent.mkdir(parents=True, mode=0o700)
        file.write_bytes(content)
        file.with_name("generation").write_text("5e1f\n")
    return settings


def take_over(settings: Settings) -> Applied:
    done = Applied(operations.format, settings=settings)
    assert not done.failed, done.stderr
    return done


def test_there_is_a_lab_of_each_older_format_to_take_over(lab: Callable[..., Settings]) -> None:
    found = set()
    for number, version in enumerate(kept_labs.versions()):
        settings = lab(lab=f"kept-{number}")
        kept_labs.unpack(settings, version)
        made = lab_format(settings.for_machine)
        assert made is not None
        found.add(made.number)
    assert found >= set(range(FORMAT))


def test_a_lab_that_is_kept_is_never_kept_anew(
    counted: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = kept_labs.keep(counted, "v9.1.0", tmp_path).read_bytes()
    Path(counted.lab_dir, "keys", "more").write_text("another lab")
    with pytest.raises(FileExistsError):
        kept_labs.keep(counted, "v9.1.0", tmp_path)
    assert (tmp_path / "v9.1.0.tar.xz").read_bytes() == kept
    # It is said before a lab is made.
    monkeypatch.setattr(sys, "argv", ["kept_labs", kept_labs.versions()[0]])
    with pytest.raises(SystemExit, match="is kept already"):
        kept_labs.main()


def test_a_kept_lab_loses_no_key_no_commit_and_no_record(kept: Settings) -> None:
    folder = Path(kept.lab_dir)
    before, had = contents(folder), commits(folder)
    assert {"git/repositories/platform.git", "git/repositories/learner/lab.git"} <= set(had)
    made = lab_format(kept.for_machine)

    assert take_over(kept).changed is (made != Format(FORMAT, __version__))

    assert lab_format(kept.for_machine) == Format(FORMAT, __version__)
    assert {**contents(folder), "format": b""} == {**before, "format": b""}
    assert commits(folder) == had
    for key in sorted(Path(kept.keys_dir).glob("*.agekey")):
        assert key.with_suffix(".pub").read_text() == f"{public_key(key)}\n"
    assert not take_over(kept).changed


def test_what_a_kept_lab_encrypted_is_still_decrypted(kept: Settings) -> None:
    take_over(kept)
    repository = Path(kept.git_dir, "repositories", "learner", "lab.git")
    git = ["git", "-c", "safe.directory=*", "--git-dir", str(repository)]
    canary = subprocess.run(
        [*git, "show", "main:flux/secrets/develop/lab-canary.yaml"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    values = set()
    for name in ("learner", "instructor"):
        identity = Path(kept.keys_dir, f"{name}.agekey")
        decrypted = decrypt(canary, identity, '["stringData"]["value"]').stdout
        assert decrypted.strip()
        values.add(hashlib.sha256(decrypted.encode()).hexdigest())
    assert len(values) == 1


def test_counts_of_accesses_go_and_are_kept_beside(counted: Settings) -> None:
    assert take_over(counted).changed
    folder = Path(counted.lab_dir)
    assert [path for path in COUNTS if (folder / path).exists()] == []
    for path, content in COUNTS.items():
        copy = folder / "before-format-1" / path
        assert copy.read_bytes() == content
        assert copy.parent.stat().st_mode & 0o077 == 0
        assert (folder / path).with_name("generation").read_text() == "5e1f\n"
    assert not take_over(counted).changed


def test_a_takeover_that_is_killed_before_any_change_is_completed(
    counted: Settings, tmp_path: Path
) -> None:
    folder, whole = Path(counted.lab_dir), tmp_path / "whole"
    shutil.copytree(folder, tmp_path / "before")
    (command,) = would_run(operations.format, settings=counted)
    take_over(counted)
    folder.rename(whole)
    moment, killed = 0, True
    while killed:
        moment += 1
        shutil.copytree(tmp_path / "before", folder)
        killed = killed_before_change(moment, command, folder)
        # The number is written last: until then, the lab is an older one, and nothing of it is
        # lost.
        number = lab_format(counted.for_machine)
        assert number == (Format() if killed else Format(FORMAT, __version__))
        for path, content in COUNTS.items():
            found = [one for one in (folder / path, folder / "before-format-1" / path)
                     if one.exists() and one.read_bytes() == content]  # fmt: skip
            assert found, f"{path} was lost before change {moment}"
        assert take_over(counted).changed is killed
        assert contents_without_leftovers(folder) == contents(whole)
        shutil.rmtree(folder)
    # Folders, two second names, the removal of two first names, and the number.
    assert moment > 6


def contents_without_leftovers(folder: Path) -> dict[str, bytes]:
    """Return all files of a folder, except what a killed run was writing; the next `up` removes
    that."""
    return {path: held for path, held in contents(folder).items() if not path.endswith(".new")}


def test_a_chain_of_migrations_rewrites_files_and_keeps_what_they_were(
    counted: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = Path(counted.lab_dir, "class", "roster.json")
    record.write_text("[]")
    record.chmod(0o640)

    def wrapped(found: Content) -> list[Change]:
        return [Change(path, b'{"seats": %s}' % held) for path, held in found.items()
                if not held.startswith(b"{")]  # fmt: skip

    chain = (*takeover.MIGRATIONS, Migration("a roster is an object", ("class/*.json",), wrapped))
    monkeypatch.setattr(act, "MIGRATIONS", chain)
    monkeypatch.setattr(act, "FORMAT", 2)
    act.take_over(counted.for_machine)
    assert lab_format(counted.for_machine) == Format(2, __version__)
    assert record.read_text() == '{"seats": []}'
    assert record.stat().st_mode & 0o777 == 0o640
    assert Path(counted.lab_dir, "before-format-2/class/roster.json").read_text() == "[]"
    # A run was killed before the number was raised: the next one finds its change, and the former
    # content.
    Path(counted.format_file).write_text('{"format": 1, "product": ""}')
    act.take_over(counted.for_machine)
    assert record.read_text() == '{"seats": []}'
    assert Path(counted.lab_dir, "before-format-2/class/roster.json").read_text() == "[]"


def test_a_newer_version_is_recorded_and_nothing_else_changes(counted: Settings) -> None:
    folder = Path(counted.lab_dir)
    Path(counted.format_file).write_text(f'{{"format": {FORMAT}, "product": "0.0.1"}}')
    before = contents(folder)
    assert take_over(counted).changed
    assert lab_format(counted.for_machine) == Format(FORMAT, __version__)
    assert {**contents(folder), "format": b""} == {**before, "format": b""}
    assert not take_over(counted).changed


def test_a_lab_that_is_to_be_made_begins_with_the_number(lab: Callable[..., Settings]) -> None:
    settings = lab()
    assert take_over(settings).changed
    assert lab_format(settings.for_machine) == Format(FORMAT, __version__)
    path = Path(settings.format_file)
    assert [one.name for one in path.parent.iterdir()] == ["format"]
    assert path.stat().st_mode & 0o777 == 0o644
    assert not take_over(settings).changed
