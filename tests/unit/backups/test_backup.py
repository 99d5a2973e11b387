"""What is backed up, and that all of it comes back: with the real git, age and zstd."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import zstandard

from sopslab.checks.backups import age_meaning, is_carried
from sopslab.config.settings import Settings
from sopslab.errors import LabError
from sopslab.lab.act import repositories
from sopslab.lab.backups.reading import restore
from sopslab.lab.backups.repositories import bundled, refs_in, unbundle
from sopslab.lab.observe.folders import leftovers
from sopslab.lab.observe.formats import lab_format
from sopslab.lab.observe.issuers import GIVEN
from sopslab.lab.tools import age
from sopslab.lab.tools.age import Passphrase, asks_for_passphrase
from sopslab.lab.tools.files import new_file
from sopslab.lab.tools.programs import Failed
from sopslab.lab.tools.waiting import Deadline, wait_until
from sopslab.model.access import Issuer
from sopslab.model.backups import LAB_FILE, BackupHead
from sopslab.model.mark import MARK
from sopslab.model.wire import encode
from sopslab.run.lock import held_by, hold
from tests.conftest import find_tool
from tests.repositories import git, overtake, was_overtaken
from tests.unit.backups.backup_material import (
    CARRIED,
    LEFT,
    OLD,
    REPOSITORIES,
    Made,
    bare,
    write_backup,
)


def tree(top: Path) -> dict[str, bytes]:
    """Return all files below a folder, except those in the Git server's repositories."""
    return {
        str(path.relative_to(top)): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and not path.is_symlink() and "repositories" not in path.parts
    }


def test_what_a_lab_has_once_is_carried_and_the_rest_is_made_anew() -> None:
    assert [path for path in CARRIED if not is_carried(path)] == []
    assert [path for path in LEFT if is_carried(path)] == []
    # The server's own configuration of a repository and its hooks never come from a backup.
    assert not is_carried("git/repositories/ada/lab.git/config")
    assert not is_carried("git/repositories/platform.git/hooks/post-receive")
    # Git takes a file in place of a repository for a pointer to a repository.
    assert not is_carried("git/repositories/eve.git")
    assert is_carried("git/repositories/eve/lab.git/")


@pytest.mark.parametrize(
    "path", ["HEAD", "ada/x", "ada/b/c.git/", f"a/b/c.git/{MARK}", "Eve/", ".new.abc/"]
)
def test_of_repositories_only_what_is_known_is_carried(path: str) -> None:
    assert not is_carried(f"git/repositories/{path}")


@pytest.mark.parametrize("issuer", Issuer)
def test_what_an_issuer_gave_learners_is_not_carried(issuer: Issuer) -> None:
    given = GIVEN[issuer]
    for name in {*given.FILES, given.PRIVATE}:
        assert not is_carried(f"class/seats/ada/{name}")
        assert not is_carried(f"class/pruned/eve-20261125/access/{name}")


def test_a_lab_comes_back_under_another_root_as_it_was(made: Made, elsewhere: Settings) -> None:
    restored = made.restore(elsewhere)
    before, after = Path(made.settings.lab_dir), Path(elsewhere.lab_dir)
    carried = {path: content for path, content in tree(before).items() if is_carried(path)}
    assert tree(after) == {**carried, "lock": b""}
    assert {path for path in CARRIED if "/repositories/" not in path} < carried.keys()
    for name in REPOSITORIES:
        for command in (("for-each-ref",), ("symbolic-ref", "HEAD"), ("fsck", "--strict")):
            assert git(bare(elsewhere, name), *command) == git(bare(made.settings, name), *command)
    for path in CARRIED.keys() - carried.keys():
        assert (after / path).read_bytes() == CARRIED[path]
    # ada has two commits and the platform one; bob has none yet.
    assert (restored.commits, made.written.commits) == (3, 3)
    assert restored.files == made.written.files == len({*carried, *CARRIED})
    assert (after / "work/.git/refs").is_dir()
    assert (after / "git/credentials/ada/password").stat().st_mtime == OLD
    assert os.access(after / "work/run", os.X_OK)
    assert not list(after.parent.glob(".*"))


def test_nobody_else_reads_what_was_restored(made: Made, elsewhere: Settings) -> None:
    before = os.umask(0)
    try:
        made.restore(elsewhere)
    finally:
        os.umask(before)
    top = Path(elsewhere.lab_dir)
    assert stat.S_IMODE(top.stat().st_mode) == 0o700
    for path in (top / "keys").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)


def test_the_file_is_its_owners_and_holds_no_plain_text(made: Made) -> None:
    assert stat.S_IMODE(made.file.stat().st_mode) == 0o600
    assert made.written.size == made.file.stat().st_size
    content = made.file.read_bytes()
    assert content.startswith(b"age-encryption.org/v1\n-> X25519 ")
    assert b"AGE-SECRET" + b"-KEY" not in content and b"backup.json" not in content
    assert {path.name for path in made.file.parent.iterdir()} <= {
        "root", "identity", "lab.age", "forged.age",
    }  # fmt: skip


def test_it_opens_where_no_sops_lab_is(made: Made, tmp_path: Path) -> None:
    packed = subprocess.run(
        [find_tool("age"), "--decrypt", "--identity", str(made.identity), str(made.file)],
        capture_output=True, check=True,
    ).stdout  # fmt: skip
    plain = zstandard.ZstdDecompressor().stream_reader(packed).read()
    with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
        archive.extractall(tmp_path, filter="data")
    git(tmp_path, "clone", "--quiet", "repositories/ada/lab.bundle", "clone")
    main = git(bare(made.settings, "ada/lab"), "rev-parse", "main")
    assert git(tmp_path / "clone", "rev-parse", "HEAD") == main
    assert (tmp_path / "files/class/roster.json").read_bytes() == CARRIED["class/roster.json"]


def test_what_is_no_file_is_named_and_not_followed(made: Made) -> None:
    assert sorted(made.written.left_out) == ["work/elsewhere", "work/link"]


def test_a_lab_that_is_there_stays_as_it_is(made: Made) -> None:
    before = tree(Path(made.settings.lab_dir))
    with pytest.raises(LabError, match="there is a lab lab already"):
        made.restore(made.settings)
    after = tree(Path(made.settings.lab_dir))
    after.pop("lock")
    assert after == {path: content for path, content in before.items() if path != "lock"}


def test_what_a_killed_restore_left_is_nobodys_lab(made: Made, elsewhere: Settings) -> None:
    left = Path(elsewhere.restoring_dir, "labs", "lab", "keys", "ada.agekey")
    left.parent.mkdir(parents=True)
    left.write_text("half")
    assert leftovers(elsewhere.for_machine) == [elsewhere.restoring_dir]
    made.restore(elsewhere)
    assert Path(elsewhere.keys_dir, "ada.agekey").read_text() != "half"
    assert not Path(elsewhere.restoring_dir).exists()


KILLED = """
import json, os, sys
from pathlib import Path
from sopslab.config.places import Lab
from sopslab.lab.backups.reading import restore
from sopslab.model.wire import decode

lab, file, identity, number = json.load(sys.stdin)
rename = Path.rename

def killed(path, target):
    global number
    number -= 1
    if not number:
        os._exit(9)
    return rename(path, target)

Path.rename = killed
restore(decode(Lab, lab), Path(file), lambda _: [Path(identity)], lambda _: None)
"""


def test_of_two_that_write_one_file_none_puts_the_others_half_there(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="another process"), new_file(tmp_path / "f") as file:
        file.write(b"whole")
        (tmp_path / ".f.new").unlink()
        (tmp_path / ".f.new").write_bytes(b"ha")
    assert not (tmp_path / "f").exists()


KILLED_BACKUP = """
import json, os, sys
from pathlib import Path
from sopslab.config.places import Lab
from sopslab.lab.backups.writing import write
from sopslab.model.backups import BackupHead
from sopslab.model.wire import decode

lab, file, recipient = json.load(sys.stdin)
Path.replace = lambda path, target: os._exit(9)
head = BackupHead(1, "0.2.0", "lab", "2026-11-29T12:00:00Z", 0, [], {})
write(decode(Lab, lab), head, Path(file), [recipient])
"""


@pytest.mark.parametrize("number", [1, 2])
def test_a_restore_that_is_killed_leaves_no_lab_and_the_next_one_works(
    made: Made, elsewhere: Settings, number: int
) -> None:
    top, lab = Path(elsewhere.lab_dir), elsewhere.for_machine
    top.mkdir(parents=True)
    (top / "lock").touch()
    given = [encode(lab), str(made.file), str(made.identity), number]
    done = subprocess.run(
        [sys.executable, "-c", KILLED], input=json.dumps(given), text=True, check=False
    )
    assert done.returncode == 9
    assert lab_format(lab) is None
    assert Path(elsewhere.restoring_dir).exists()
    made.restore(elsewhere)
    assert Path(elsewhere.keys_dir, "ada.agekey").exists()
    assert not Path(elsewhere.restoring_dir).exists()


def test_settings_that_cannot_be_kept_leave_no_lab(made: Made, elsewhere: Settings) -> None:
    top, lab = Path(elsewhere.lab_dir), elsewhere.for_machine
    top.mkdir(parents=True)
    (top / "lock").touch()

    def full(_head: BackupHead) -> str:
        (Path(lab.restoring_dir) / "labs" / lab.lab / LAB_FILE).mkdir()
        return "lab: lab\n"

    with pytest.raises(LabError, match=r"could not be restored: .*; nothing was changed"):
        restore(lab, made.file, lambda _: [made.identity], full)
    assert [path.name for path in top.iterdir()] == ["lock"]


def test_the_lock_and_the_logs_of_a_lab_that_was_not_there_stay(
    made: Made, elsewhere: Settings
) -> None:
    top = Path(elsewhere.lab_dir)
    (top / "log").mkdir(parents=True)
    (top / "log" / "a-run.log").write_text("of a run that found no lab\n")
    hold(top / "lock")
    made.restore(elsewhere)
    assert held_by(top / "lock") == str(os.getpid())
    assert (top / "log" / "a-run.log").exists()


def test_a_failed_backup_leaves_the_one_before(made: Made, tmp_path: Path) -> None:
    before = made.file.read_bytes()
    missing = bare(made.settings, "ada/lab") / "objects"
    missing.rename(tmp_path / "objects")
    try:
        with pytest.raises(LabError, match="the repository ada/lab could not be read"):
            write_backup(made.settings, made.file, made.recipient)
    finally:
        (tmp_path / "objects").rename(missing)
    assert made.file.read_bytes() == before
    assert not list(made.file.parent.glob(".*"))


def test_what_a_killed_backup_left_is_gone_after_the_next_one(made: Made, tmp_path: Path) -> None:
    given = [encode(made.settings.for_machine), str(tmp_path / "f"), made.recipient]
    done = subprocess.run(
        [sys.executable, "-c", KILLED_BACKUP], input=json.dumps(given), text=True, check=False
    )
    assert done.returncode == 9
    assert len(list(tmp_path.iterdir())) == 1
    write_backup(made.settings, tmp_path / "f", made.recipient)
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    assert stat.S_IMODE((tmp_path / "f").stat().st_mode) == 0o600


def test_what_does_not_fit_on_the_disk_is_no_backup(made: Made) -> None:
    lab = made.settings.for_machine
    with (
        Path("/dev/full").open("wb") as full,
        pytest.raises(Failed) as failure,
        age.encrypting(lab, [made.recipient], full) as plain,
    ):
        plain.write(b"x")
    assert age_meaning(failure.value.lines) == "the disk is full"


@contextmanager
def pushing(repository: Path, folder: Path) -> Iterator[list[str]]:
    """During the block, push commits, move branches back and forth, and delete them; yield the list
    of pushed commits."""
    git(folder, "clone", "--quiet", str(repository), "clone")
    clone, pushed, over = folder / "clone", [], threading.Event()
    for name, text in (("name", "Ada"), ("email", "ada@example.org")):
        git(clone, "config", f"user.{name}", text)

    def push() -> None:
        number = 0
        while not over.is_set():
            number += 1
            (clone / "file").write_text(f"{number}\n" * 500)
            git(clone, "add", "--all")
            git(clone, "commit", "--quiet", "--amend", "--message", str(number), check=False)
            git(clone, "commit", "--quiet", "--allow-empty", "--message", str(number))
            refs = ("HEAD:refs/heads/main", f"HEAD:refs/heads/b{number % 3}", "HEAD:refs/tags/t")
            git(clone, "push", "--quiet", "--force", "origin", *refs)
            git(clone, "push", "--quiet", "origin", "--delete", f"b{(number + 1) % 3}", check=False)
            pushed.append(git(clone, "rev-parse", "HEAD"))

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield pushed
    finally:
        over.set()
        thread.join(60)


def test_while_somebody_pushes_each_bundle_is_a_whole_repository(
    elsewhere: Settings, tmp_path: Path
) -> None:
    machine = elsewhere.for_machine
    Path(machine.git_dir).mkdir(parents=True)
    repositories.make(machine, ["ada/lab"])
    seen: set[str] = set()
    with pushing(bare(elsewhere, "ada/lab"), tmp_path) as pushed:
        assert wait_until(lambda: bool(pushed), 60)
        deadline = Deadline(120)
        while len(seen) < 3:
            assert not deadline.is_over, "nobody pushes"
            bundle = bundled(machine, "ada/lab")
            there = elsewhere.model_copy(update={"root": str(tmp_path / f"root-{deadline.left}")})
            Path(there.git_dir).mkdir(parents=True)
            repositories.make(there.for_machine, ["ada/lab"])
            file = Path(there.root, "bundle")
            file.write_bytes(bundle.content)
            # `unbundle` raises if a ref differs or an object is missing.
            assert unbundle(there.for_machine, "ada/lab", file) == bundle.commits
            restored = bare(there, "ada/lab")
            git(restored, "fsck", "--strict", "--no-dangling")
            git(restored, "rev-parse", "--verify", "refs/tags/t")
            seen.add(git(restored, "rev-parse", "--verify", "refs/heads/main"))


def test_a_branch_that_moves_while_it_is_packed_is_in_the_bundle_as_it_was(
    elsewhere: Settings, tmp_path: Path
) -> None:
    machine, repository = elsewhere.for_machine, bare(elsewhere, "ada/lab")
    Path(machine.git_dir).mkdir(parents=True)
    repositories.make(machine, ["ada/lab"])
    git(tmp_path, "clone", "--quiet", str(repository), "clone")
    git(tmp_path / "clone", "commit", "--quiet", "--allow-empty", "--message", "1")
    git(tmp_path / "clone", "push", "--quiet", "origin", "HEAD:main", "HEAD:refs/lab/start")
    before = git(repository, "for-each-ref", "--format=%(refname) %(objectname)")
    git(tmp_path / "clone", "commit", "--quiet", "--amend", "--allow-empty", "--message", "2")
    overtake(Path(machine.bin_dir), "pack-objects", repository, tmp_path / "clone")

    bundle = bundled(machine, "ada/lab")

    assert was_overtaken(Path(machine.bin_dir))
    assert git(repository, "rev-parse", "main") == git(tmp_path / "clone", "rev-parse", "HEAD")
    assert [f"{ref} {commit}" for ref, commit in refs_in(bundle.content).items()] == (
        before.splitlines()
    )
    (tmp_path / "bundle").write_bytes(bundle.content)
    git(tmp_path, "clone", "--quiet", "bundle", "again")
    assert git(tmp_path / "again", "log", "--format=%s") == "1"


def test_a_passphrase_opens_what_it_closed_and_no_other_does(
    elsewhere: Settings, tmp_path: Path
) -> None:
    key, file = Passphrase("one; two $(three) \xfc"), tmp_path / "file"
    machine = elsewhere.for_machine
    with file.open("wb") as to, age.encrypting(machine, key, to) as plain:
        plain.write(b"x" * 200_000)
    assert "three" not in repr(key)
    with file.open("rb", buffering=0) as source:
        assert asks_for_passphrase(source)
        with age.decrypting(machine, key, source) as opened:
            assert opened.read() == b"x" * 200_000
    with (
        file.open("rb", buffering=0) as source,
        pytest.raises(Failed) as failure,
        age.decrypting(machine, Passphrase("another one, longer"), source) as opened,
    ):
        opened.read()
    assert age_meaning(failure.value.lines) == "the passphrase is another one"
