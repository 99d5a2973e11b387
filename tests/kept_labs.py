"""Labs that released versions made, which are kept because every later version has to take them
over.

`python -m tests.kept_labs v0.2.0` makes such a lab with the present version, lets its learners work
in it, and keeps it as tests/data/labs/v0.2.0.tar.xz. It needs Docker, as `make test` does.

The lab's folder is kept as `sopslab down` leaves it, without logs and caches. It holds the lab's
real keys, because only with them can a test prove that `up` brings back what was encrypted. These
keys have never opened anything else. Marks replace parts of the keys, and the path of the lab, so
that nothing in this repository looks like a key, and a test can unpack a lab anywhere.
"""

from __future__ import annotations

import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

from sopslab.config.settings import Settings
from sopslab.layout import PROJECT
from tests.cluster.classroom import SEATS, Classroom
from tests.cluster.lab import Lab

FOLDER = PROJECT / "tests" / "data" / "labs"
# The name of a kept lab never changes, because addresses in its repositories contain it.
NAME, PORT = "kept", 8493
_LEFT_OUT = {"log", "lock", "kube-cache", "pre-commit", ".cluster.lock"}
_MARKS = {
    "{{ age identity }}": "AGE-SECRET-" + "KEY-1",
    "{{ private key }}": "PRIVATE " + "KEY",
}


def versions() -> list[str]:
    """Return the versions that a kept lab is there of."""
    return sorted(path.name.removesuffix(".tar.xz") for path in FOLDER.glob("*.tar.xz"))


def keep(settings: Settings, version: str, folder: Path = FOLDER) -> Path:
    """Keep a lab that is down, and return the file that it is in. Raises FileExistsError if one of
    that version is kept."""
    kept = folder / f"{version}.tar.xz"
    top = Path(settings.lab_dir)
    with tarfile.open(kept, "x:xz") as packed:
        for path in _parts(top):
            member = packed.gettarinfo(path, str(path.relative_to(top)))
            member.uname = member.gname = ""
            content = _masked(path, _marks(settings.root)) if member.isreg() else b""
            member.size = len(content)
            packed.addfile(member, BytesIO(content))
    return kept


def unpack(settings: Settings, version: str, folder: Path = FOLDER) -> None:
    """Unpack the lab that a version made to the place in the settings. It is as it was, but for
    another root."""
    top = Path(settings.lab_dir)
    top.mkdir(parents=True, mode=0o700)
    with tarfile.open(folder / f"{version}.tar.xz") as packed:
        packed.extractall(top, numeric_owner=True, filter="fully_trusted")
    for path in _parts(top):
        if path.is_file() and not path.is_symlink():
            _fill(path, _marks(settings.root))


def _parts(top: Path) -> Iterator[Path]:
    """Yield the files and folders of a lab that are kept, each folder before its content."""
    for path in sorted(top.rglob("*")):
        if path.relative_to(top).parts[0] not in _LEFT_OUT:
            yield path


def _marks(root: str) -> dict[str, str]:
    return {"{{ root }}": root, "{{ programs }}": str(Path(sys.executable).parent), **_MARKS}


def _masked(path: Path, marks: Mapping[str, str]) -> bytes:
    content = path.read_bytes()
    for mark, text in marks.items():
        # `_fill` would replace a mark that is in the file already, such as by chance in an object
        # of git, which is compressed, and checked by its sum.
        assert mark.encode() not in content, f"{path} would not be the same again"
        content = content.replace(text.encode(), mark.encode())
    return content


def _fill(path: Path, marks: Mapping[str, str]) -> None:
    kept = content = path.read_bytes()
    for mark, text in marks.items():
        content = content.replace(mark.encode(), text.encode())
    if content != kept:
        path.write_bytes(content)


def main() -> None:
    """Make a lab, have its learners work in it, take it down, and keep it."""
    (version,) = sys.argv[1:]
    if version in versions():
        sys.exit(f"a lab of {version} is kept already, and never changed: name the present version")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        classroom = Classroom(Lab(NAME, folder, {"git_port": PORT}))
        lab = classroom.lab
        lab.remove()
        try:
            classroom.up()
            lab.push_notes(folder)
            for seat in SEATS:
                classroom.push(classroom.clone(seat, folder))
            lab.sopslab("incident", "open", "a-drill", lab.settings.learner.id)
            lab.sopslab("down")
            kept = keep(lab.settings, version)
            sys.stdout.write(f"{kept.relative_to(PROJECT)}: {kept.stat().st_size} bytes\n")
        finally:
            lab.remove()


if __name__ == "__main__":
    main()
