"""Trees of files: the digest is the shell's, the archive is the same for the same files, and git
makes the same tree of them by either way."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

from sopslab.files.archive import beginning, digest, pack
from sopslab.files.render import RenderedFile
from sopslab.lab.observe.folders import folder_digest

ODD = {
    "plain.txt": RenderedFile(b"plain\n", executable=False),
    "with blank/and 'quote'.txt": RenderedFile(b"", executable=False),
    "a/b": RenderedFile(b"\x00\xff", executable=True),
    "a.b": RenderedFile(b"sorts before a/b\n", executable=False),
    "Zo\u00eb/\U0001f511": RenderedFile("ü\n".encode(), executable=False),
    "-rf": RenderedFile(b"leading dash\n", executable=False),
    "$(touch gone)": RenderedFile(b"literal\n", executable=False),
    ".hidden": RenderedFile(b"h\n", executable=True),
}


def unpack(folder: Path, text: str) -> None:
    folder.mkdir()
    subprocess.run(
        ["sh", "-c", 'base64 -d | tar -xz -C "$1"', "sh", folder],
        input=text,
        text=True,
        check=True,
    )


def test_what_was_packed_is_unpacked_with_content_and_mode(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    unpack(folder, pack(ODD))
    found = {
        str(path.relative_to(folder)): RenderedFile(path.read_bytes(), os.access(path, os.X_OK))
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert {path: file.content for path, file in found.items()} == {
        path: file.content for path, file in ODD.items()
    }
    modes = {path: (folder / path).stat().st_mode & 0o777 for path in ODD}
    assert modes == {path: 0o755 if file.executable else 0o644 for path, file in ODD.items()}


def test_the_digest_is_what_is_read_from_the_unpacked_tree(tmp_path: Path) -> None:
    unpack(tmp_path / "tree", pack(ODD))
    assert folder_digest(str(tmp_path / "tree")) == digest(ODD)


def test_the_digest_tells_a_changed_an_added_and_a_removed_file(tmp_path: Path) -> None:
    folder = tmp_path / "tree"
    unpack(folder, pack(ODD))
    (folder / "plain.txt").write_text("other\n")
    assert folder_digest(str(folder)) != digest(ODD)
    (folder / "plain.txt").write_bytes(ODD["plain.txt"].content)
    (folder / "more").write_text("")
    assert folder_digest(str(folder)) != digest(ODD)
    (folder / "more").unlink()
    (folder / "-rf").unlink()
    assert folder_digest(str(folder)) != digest(ODD)


def test_an_empty_directory_has_the_digest_of_no_files_and_an_absent_one_none(
    tmp_path: Path,
) -> None:
    (tmp_path / "empty").mkdir()
    assert folder_digest(str(tmp_path / "empty")) == digest({})
    assert folder_digest(str(tmp_path / "absent")) is None


def test_the_same_files_in_another_order_give_the_same_text_and_digest() -> None:
    turned = dict(reversed(ODD.items()))
    assert pack(turned) == pack(ODD)
    assert digest(turned) == digest(ODD)
    assert pack(ODD).isascii()


def test_the_text_does_not_depend_on_when_it_was_packed() -> None:
    # Bytes 4 to 7 of a gzip member are its time (RFC 1952).
    assert base64.b64decode(pack(ODD))[4:8] == bytes(4)


def test_git_imports_what_it_would_have_added(tmp_path: Path) -> None:
    def git(*arguments: str, given: bytes = b"") -> str:
        command = ["git", "-C", str(tmp_path / "tree"), *arguments]
        return subprocess.run(command, input=given, check=True, capture_output=True).stdout.decode()

    unpack(tmp_path / "tree", pack(ODD))
    git("init", "--quiet")
    commit = beginning(
        ODD, "refs/heads/new", "Zo\u00eb <the> Learner", "zoe@example.org", "Begin it"
    )
    git("fast-import", "--quiet", "--done", "--date-format=now", given=commit + b"done\n")
    git("add", "--all")
    assert git("rev-parse", "new^{tree}") == git("write-tree")
    assert git("log", "--format=%an|%ae|%cn|%ce|%B", "new").strip() == (
        "Zo\u00eb the Learner|zoe@example.org|Zo\u00eb the Learner|zoe@example.org|Begin it"
    )
