"""A small lab with every kind of file that may exist only once, its backup, and forged backups."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

import zstandard

from sopslab.checks.backups import belonging_settings
from sopslab.config.settings import Settings
from sopslab.lab.act import repositories
from sopslab.lab.backups import writing
from sopslab.lab.backups.reading import Restored, restore
from sopslab.lab.backups.repositories import repositories as repositories_of
from sopslab.lab.tools import age
from sopslab.lab.tools.files import write
from sopslab.model.backups import FORMAT, SUMS, BackupHead
from sopslab.model.formats import Format, render_format
from sopslab.model.hints import RECORD
from sopslab.model.mark import MARK
from tests.repositories import git, make_identity
from tests.texts import write_program

REPOSITORIES = ("ada/lab", "bob/lab", "platform")
# What exists only once, and comes back byte by byte.
CARRIED = {
    "class/progress.jsonl": b'{"torn": ',
    # More than age or zstd buffers at once.
    "class/pruned/eve-20261125/repositories/lab.git/objects/pack/a.pack": Random(1).randbytes(
        300_000
    ),
    "class/pruned/eve-20261125/repositories/lab.git/refs/heads/idea.new": b"0123\n",
    "class/pruned/eve-20261125/access/generation": b"00000000000001\n",
    "class/roster.json": b"[]\n",
    "class/seats/ada/canary": b"0123\n",
    "class/seats/ada/generation": b"00000000000001\n",
    "drills/leak/ada/clone-of-kim/.git/config": b"[core]\n",
    "format": render_format(Format(1, "0.0.1")).encode(),
    "id": b"0123456789abcdef",
    "git/credentials/ada/git-credentials": b"http://ada:word@127.0.0.1:8418\n",
    "git/credentials/ada/password": b"word",
    "git/htpasswd": b"ada:$2b$05$\n",
    f"git/repositories/ada/lab.git/{MARK}": b'{"since": 1.0}\n',
    f"git/repositories/ada/lab.git/{RECORD}": b"{}\n",
    "keys/archive/ada-20261125.agekey": b"an older one\n",
    "new-in-a-later-version/what": b"is not known here\n",
    "tls/ca.key": b"a key\n",
    "work/.git/HEAD": b"ref: refs/heads/main\n",
    "work/.git/objects/12/34": b"\x00\xff",
    "work/flake.lock": b"mine\n",
    "work/notes.new": b"mine\n",
    "work/ein \xdcbel\t": b"odd\n",
    os.fsdecode(b"work/\xff"): b"no UTF-8\n",
}
# What is made anew, or belongs to this machine.
LEFT = {
    "class/board.json", "class/cards/all.html", "class/failed/ada", "class/issuer.json",
    "class/pruned/eve-20261125/access/client.crt", "class/pruned/eve-20261125/access/client.key",
    "class/pruned/eve-20261125/access/kubeconfig", "class/pruned/eve-20261125/access/token.json",
    "class/seats/ada/client.crt", "class/seats/ada/client.key", "class/seats/ada/kubeconfig",
    "class/seats/ada/token.json", "git/access/ada/kubeconfig",
    "git/credentials/.new.abc/ada/password", "git/etc/gate", "git/policy/sopslab/__init__.py",
    "git/repositories/ada/lab.git/FETCH_HEAD", "git/tls/server.pem", "keys/.ada.agekey.1.new",
    "kubeconfig", "lab.yaml", "lease.json", "node-id", "platform/.git/config",
    ".cluster.lock", ".kind.abc/kubeconfig", "work/.git/index.lock",
}  # fmt: skip
OLD = 1_500_000_000


@dataclass
class Made:
    """A lab, its backup, and the identity that opens it."""

    settings: Settings
    file: Path
    identity: Path
    recipient: str
    written: writing.Written

    def restore(self, settings: Settings, file: Path | None = None) -> Restored:
        """Restore the backup, or a file made from it, into a root without a lab."""
        Path(settings.lab_dir).mkdir(parents=True, exist_ok=True)
        Path(settings.lab_dir, "lock").touch()
        return restore(
            settings.for_machine, file or self.file, lambda _: [self.identity], lambda _: None
        )

    def forged(self, change: Callable[[Archive], None]) -> Path:
        """Return a backup that was changed by somebody who knows its format."""
        archive = Archive.of(self.plain)
        change(archive)
        return self.encrypted(archive.packed())

    @cached_property
    def plain(self) -> bytes:
        """The archive inside the backup, decrypted and decompressed."""
        lab = self.settings.for_machine
        with (
            self.file.open("rb", buffering=0) as source,
            age.decrypting(lab, [self.identity], source) as plain,
        ):
            return zstandard.ZstdDecompressor().stream_reader(plain).read()

    def encrypted(self, plain: bytes) -> Path:
        """Return a file with an archive, compressed and encrypted so that the identity opens it."""
        file = self.file.with_name("forged.age")
        lab = self.settings.for_machine
        with file.open("wb") as to, age.encrypting(lab, [self.recipient], to) as encrypted:
            encrypted.write(zstandard.ZstdCompressor().compress(plain))
        return file


class Archive:
    """The members of a backup, to be changed. `packed` adds fitting sums, unless `sums` says
    otherwise."""

    def __init__(self, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
        self.members = members
        self.sums: dict[str, str] | None = None
        self.behind: list[tuple[tarfile.TarInfo, bytes]] = []
        self.after_end = b""
        self.records: dict[str, str] = {}

    @classmethod
    def of(cls, plain: bytes) -> Archive:
        with tarfile.open(fileobj=io.BytesIO(plain)) as archive:
            found = [(member, _content(archive, member)) for member in archive]
        return cls([each for each in found if each[0].name != SUMS])

    def add(self, name: str, content: bytes = b"", **changes: object) -> None:
        self.members.append((_member(name, content, changes), content))

    def rewrite(self, name: str, change: Callable[[bytes], bytes]) -> None:
        for number, (member, content) in enumerate(self.members):
            if member.name == name:
                changed = change(content)
                self.members[number] = (_member(name, changed, {}), changed)

    def packed(self) -> bytes:
        sums = {
            member.name: "folder" if member.isdir() else hashlib.sha256(content).hexdigest()
            for member, content in self.members
        }
        text = json.dumps({"files": sums if self.sums is None else self.sums}).encode()
        members = [*self.members, (_member(SUMS, text, {}), text), *self.behind]
        packed = io.BytesIO()
        form, records = tarfile.PAX_FORMAT, self.records
        with tarfile.open(
            fileobj=packed, mode="w", format=form, pax_headers=records or None
        ) as archive:
            for member, content in members:
                archive.addfile(member, io.BytesIO(content))
        return packed.getvalue() + self.after_end


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = archive.extractfile(member)
    return b"" if file is None else file.read()


def _member(name: str, content: bytes, changes: Mapping[str, object]) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(content), 0o600
    for key, value in changes.items():
        setattr(member, key, value)
    return member


def fill(settings: Settings) -> None:
    """Make a lab at the place that the settings name."""
    top = Path(settings.lab_dir)
    Path(settings.git_dir).mkdir(parents=True)
    repositories.make(settings.for_machine, [*REPOSITORIES])
    for path, content in CARRIED.items():
        write(top / path, content)
    for path in LEFT:
        write(top / path, b"made anew\n")
    for folder in ("log", "work/.git/refs"):
        (top / folder).mkdir(parents=True)
    write_program(top / "work" / "run", "#!/bin/sh\n")
    (top / "work" / "link").symlink_to("/etc/passwd")
    (top / "work" / "elsewhere").symlink_to("/etc")
    os.utime(top / "git/credentials/ada/password", (OLD, OLD))
    make_identity(top / "keys" / "ada.agekey")
    recipient = make_identity(top / "keys" / "instructor.agekey")
    (top / "keys" / "instructor.pub").write_text(f"{recipient}\n")
    for name, branches in {"ada/lab": ("main", "ein/\xfc"), "platform": ("main",)}.items():
        _push(bare(settings, name), top.parent / "pusher" / name, branches)


def _push(repository: Path, clone: Path, branches: tuple[str, ...]) -> None:
    clone.parent.mkdir(parents=True, exist_ok=True)
    git(clone.parent, "clone", "--quiet", str(repository), str(clone))
    for branch in branches:
        git(clone, "commit", "--quiet", "--allow-empty", "--message", branch)
        git(clone, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    git(clone, "tag", "--annotate", "--message", "A tag", "v1")
    git(clone, "push", "--quiet", "origin", "v1")
    git(repository, "update-ref", "refs/lab/start", "refs/heads/main")


def bare(settings: Settings, repository: str) -> Path:
    """Return the path of a repository of the Git server."""
    return Path(settings.git_dir, "repositories", f"{repository}.git")


def back_up(settings: Settings, folder: Path) -> Made:
    """Back up a lab, for an identity made for this purpose."""
    identity, file = folder / "identity", folder / "lab.age"
    recipient = make_identity(identity)
    written = write_backup(settings, file, recipient)
    return Made(settings, file, identity, recipient, written)


def write_backup(settings: Settings, file: Path, recipient: str) -> writing.Written:
    """Write the backup of a lab."""
    head = BackupHead(
        format=FORMAT, product="0.2.0", lab=settings.lab, made="2026-11-29T12:00:00Z", seats=2,
        repositories=repositories_of(settings.for_machine), settings=belonging_settings(settings),
    )  # fmt: skip
    return writing.write(settings.for_machine, head, file, [recipient])
