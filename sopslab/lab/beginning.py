"""The beginning on a machine that has nothing of ours yet: one file that needs Python 3.11 and its
standard library only. It is sent to `python3 -` or taken out of a bundle, and installs the product.

    python3 beginning.py state ROOT SHA256                 what is there, as JSON
    python3 beginning.py product ROOT SHA256 SIZE          the product from standard input
    python3 beginning.py bundle ROOT FILE --signers FILE   the product of a bundle
    python3 beginning.py bundle ROOT FILE --unsigned       the same of one that nobody signed

ROOT may begin with `~/`. Whenever it is killed, the next run completes what is missing: the product
is in a folder of its own, which counts when `complete` is written, and only then
`ROOT/bin/sopslab` leads there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Protocol

# How a line begins that says why nothing is done.
SAYS = "sops-lab"
# What of its sum names the folder of a product.
SHORT = 20
NAMESPACE = "sops-lab-bundle"
MANIFEST, SIGNATURE = "manifest.json", "manifest.json.sig"
OLDEST = (3, 11)
ARCHES = {"x86_64": "amd64", "aarch64": "arm64"}
# Who signed the bundle that was loaded last.
REMEMBERED = "bundle-signers"

_BLOCK = 512
_PIECE = 1 << 20
# What is read before its signature is checked, is bounded.
_MOST_MANIFEST = 1 << 24
_MOST_SIGNATURE = 1 << 16
_PROGRAM_S = 900
_QUESTION_S = 20
# Where files of the store look as if they were not what they were, they are read again.
_HELD_S = 300
_SILENCE_S = 60
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+/-]{0,200}")
_WHEEL = re.compile(r"wheels/[A-Za-z0-9][A-Za-z0-9._+-]*\.whl")
_PRODUCT = ("about.json", "requirements.txt")


class Refused(Exception):
    """Why nothing is done, in one sentence."""


class Stream(Protocol):
    """Bytes that come one after the other."""

    def read(self, size: int, /) -> bytes: ...


class Patient:
    """What another machine sends. Where nothing comes for a minute, it is refused: a connection
    that was cut may look as if it were there for hours. There is one of them in a process."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream: Any = stream
        signal.signal(signal.SIGALRM, _give_up)

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, as many as are there; nothing at the end."""
        with _clock():
            piece: bytes = self._stream.read1(size)
        return piece

    def line(self, most: int) -> bytes:
        """Return the next line. Raises Refused where it is longer than it may be."""
        with _clock():
            line: bytes = self._stream.readline(most)
        if not line.endswith(b"\n"):
            raise Refused("it is cut off")
        return line


@contextmanager
def _clock() -> Iterator[None]:
    signal.alarm(_SILENCE_S)
    try:
        yield
    finally:
        signal.alarm(0)


def _give_up(*_: object) -> None:
    raise Refused(f"nothing has come for {_SILENCE_S} s")


class Archive:
    """A plain tar archive, read from its beginning to its end, in which every file is expected.

    Python's own reader follows headers of any length before it tells a name; here a header is one
    block, and of a file.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._left = self._padding = 0

    def next(self) -> tuple[str, int] | None:
        """Return the name and the size of the next file, None behind the last one."""
        self.skip()
        block = self._exactly(_BLOCK)
        if block == bytes(_BLOCK):
            return None
        try:
            found = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.TarError, UnicodeDecodeError, ValueError):
            raise Refused("it is damaged, or no archive of ours") from None
        odd = not _NAME.fullmatch(found.name) or {"", ".", ".."} & set(found.name.split("/"))
        if odd or found.type != tarfile.REGTYPE or found.size < 0:
            raise Refused(f"it has a file in it that is not ours: {found.name[:80]!r}")
        self._left, self._padding = found.size, -found.size % _BLOCK
        return found.name, found.size

    def read(self, size: int = -1, /) -> bytes:
        """Return what comes next of the file, nothing at its end."""
        wanted = self._left if size < 0 else min(size, self._left)
        piece = self._stream.read(wanted) if wanted else b""
        if wanted and not piece:
            raise Refused("it is cut off")
        self._left -= len(piece)
        return piece

    def whole(self, most: int) -> bytes:
        """Return all that is left of the file. Raises Refused where that is more than it may."""
        if self._left > most:
            raise Refused("it has a file in it that is too large")
        text = b""
        while piece := self.read(_PIECE):
            text += piece
        return text

    def skip(self) -> None:
        """Pass over what is left of the file."""
        while self.read(_PIECE):
            pass
        self._exactly(self._padding)
        self._padding = 0

    def end(self) -> None:
        """Raise Refused where anything but the end of an archive follows."""
        if self.next() is not None or self._exactly(_BLOCK) != bytes(_BLOCK):
            raise Refused("it has more in it than its manifest says")
        while piece := self._stream.read(_PIECE):
            if piece.strip(b"\0"):
                raise Refused("it has more in it than its manifest says")

    def _exactly(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._stream.read(size - len(data))
            if not piece:
                raise Refused("it is cut off")
            data += piece
        return data


class Parts:
    """A file, or the parts FILE.001, FILE.002, … that it was split into, as one stream."""

    def __init__(self, path: str | Path) -> None:
        path = Path(path)
        if path.suffix == ".001" and not path.with_suffix("").exists():
            path = path.with_suffix("")
        self._paths = [path] if path.is_file() else list(parts_beside(path))
        if not self._paths:
            raise Refused(f"{path} is not there, nor {path.name}.001")
        self._files = iter(self._paths)
        self._file: IO[bytes] | None = None

    def read(self, size: int, /) -> bytes:
        """Return the next bytes, nothing at the end of the last part."""
        while True:
            if self._file is None:
                path = next(self._files, None)
                if path is None:
                    return b""
                self._file = path.open("rb")
            piece = self._file.read(size)
            if piece or not size:
                return piece
            self._file.close()
            self._file = None


def parts_beside(path: Path) -> Iterator[Path]:
    """Yield the parts beside the name of a split bundle, up to the first that is missing."""
    number = 1
    while (part := path.with_name(f"{path.name}.{number:03}")).is_file():
        yield part
        number += 1


def verified_manifest(archive: Archive, signers: Path, unsigned: bool) -> bytes:
    """Return the manifest with which a bundle begins, once its signature is checked.

    Raises Refused where it is not signed by one of the signers, or not signed at all and that was
    not said to be right.

    + signers: a file of allowed signers, as ssh-keygen reads it
    + unsigned: whether a bundle without a signature is taken
    """
    text = _whole(archive, MANIFEST, _MOST_MANIFEST)
    # It is empty where nobody signed.
    signature = _whole(archive, SIGNATURE, _MOST_SIGNATURE)
    if signature:
        check_signature(text, signature, signers)
    elif not unsigned:
        raise Refused(
            "it is not signed, so nothing says who made it: compare its sum with the one that you"
            " were told, and say `--unsigned`"
        )
    return text


def check_signature(text: bytes, signature: bytes, signers: Path) -> None:
    """Raise Refused where a signature is not one of the signers', or not over this text."""
    if not signers.is_file():
        raise Refused("it is signed: name a file that says who may sign with `--signers FILE`")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, SIGNATURE)
        file.write_bytes(signature)
        told = ["-s", str(file), "-f", str(signers)]
        found = _ask(["ssh-keygen", "-Y", "find-principals", *told], b"")
        for principal in (found or b"").decode("utf-8", "replace").splitlines():
            wanted = ["-I", principal, "-n", NAMESPACE]
            if _ask(["ssh-keygen", "-Y", "verify", *told, *wanted], text) is not None:
                return
    raise Refused(f"its signature is by none of {signers}, or not over what is in it")


def _ask(command: list[str], stdin: bytes, patience: float = _QUESTION_S) -> bytes | None:
    """Return what a program says, None where it fails or does not end within `patience`, in
    seconds."""
    pipe = subprocess.PIPE
    try:
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        raise Refused(f"{command[0]} is missing on this machine") from None
    try:
        out, _ = process.communicate(stdin, patience)
    except subprocess.TimeoutExpired:
        # `subprocess.run` would wait for sudo, which is root's and cannot be killed.
        with suppress(PermissionError):
            process.kill()
        return None
    return out if process.returncode == 0 else None


def _whole(archive: Archive, name: str, most: int) -> bytes:
    found = archive.next()
    if found is None or found[0] != name:
        raise Refused(f"it has no {name} where that has to be")
    return archive.whole(most)


def state(root: Path, wanted: str) -> dict[str, Any]:
    """Return what a machine is, and which product it has.

    + wanted: the sum of the product that is asked what the store has, if it is the one in use
    """
    link = root / "bin" / "sopslab"
    product = ""
    if link.is_symlink() and _completed(link.resolve().parents[2]) == _python():
        product = link.resolve().parents[2].name
    store = _held(root, product) if product and product == wanted[:SHORT] else None
    return {
        "root": str(root),
        "python": list(sys.version_info[:3]),
        "arch": ARCHES.get(platform.machine(), platform.machine()),
        "product": product,
        "git": shutil.which("git") is not None,
        "docker": shutil.which("docker") is not None,
        "sudo": sudo_state(),
        "space": shutil.disk_usage(_existing(root)).free,
        "store": store,
        "clock": time.time(),
    }


def sudo_state() -> str:
    """Return whether root's rights can be had here without a password: `ok`, `password` if sudo
    asks for one, or `missing` without sudo."""
    if os.geteuid() == 0:
        return "ok"
    if shutil.which("sudo") is None:
        return "missing"
    return "password" if _ask(["sudo", "-n", "true"], b"") is None else "ok"


def _held(root: Path, product: str) -> Any:
    """Return what the store has, None where the product cannot say it."""
    python = root / "product" / product / "environment" / "bin" / "python"
    asked = ["bundles.receiving.held", json.dumps({"root": str(root)})]
    text = _ask([str(python), "-I", "-m", "sopslab.lab", *asked], b"", _HELD_S)
    return None if text is None else json.loads(text)


def install(root: Path, sha256: str, size: int, stream: Stream) -> None:
    """Install the product of this sum, taken from a stream unless it is there, and remove all older
    products but that which was in use.

    Raises Refused where the machine is not fit or the stream has something else.
    """
    _check_python()
    folder = root / "product"
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        target = folder / sha256[:SHORT]
        if _completed(target) != _python():
            _remove(target)
            target.mkdir()
            try:
                _unpack(target, sha256, size, stream)
                _make_environment(target)
            except BaseException:
                _remove(target)
                raise
            _write(target / "complete", _python())
        before = _lead(root / "bin" / "sopslab", target)
        if before is not None:
            # Somebody may be at work with that one.
            for other in folder.iterdir():
                if other.is_dir() and other.name not in (target.name, before):
                    _remove(other)


def _check_python() -> None:
    if sys.version_info[:2] < OLDEST:
        raise Refused(f"this is Python {_python()}, and 3.11 or later is needed")


def _unpack(target: Path, sha256: str, size: int, stream: Stream) -> None:
    """Unpack the wheels into a folder, once all of them are what was said."""
    packed = target / "product.tar"
    counted, left = hashlib.sha256(), size
    with packed.open("wb") as file:
        while left and (piece := stream.read(min(left, _PIECE))):
            file.write(piece)
            counted.update(piece)
            left -= len(piece)
    if left:
        raise Refused(f"the product is cut off: {left} of {size} bytes are missing")
    if counted.hexdigest() != sha256:
        raise Refused("the product is not what was said: its sum is another one")
    (target / "wheels").mkdir()
    with packed.open("rb") as file:
        archive = Archive(file)
        while found := archive.next():
            if found[0] not in _PRODUCT and not _WHEEL.fullmatch(found[0]):
                raise Refused(f"the product has a file in it that is not ours: {found[0]!r}")
            with (target / found[0]).open("wb") as content:
                shutil.copyfileobj(archive, content, _PIECE)
    packed.unlink()
    _check_fit(json.loads((target / "about.json").read_bytes()))


def _check_fit(about: dict[str, Any]) -> None:
    """Raise Refused where this machine is none that the wheels are for."""
    arch = ARCHES.get(platform.machine(), platform.machine())
    if about["arch"] != arch:
        raise Refused(f"the product is for {about['arch']}, and this machine is {arch}")
    if _python() not in about["pythons"]:
        raise Refused(
            f"this is Python {_python()}, and the product is for {', '.join(about['pythons'])}"
        )


def _make_environment(target: Path) -> None:
    """Make a Python environment with the product; pip comes as a wheel, and asks no network."""
    environment, wheels = target / "environment", target / "wheels"
    told = {
        name: text for name, text in os.environ.items() if not name.startswith(("PIP_", "PYTHON"))
    }
    told |= {"PIP_CONFIG_FILE": os.devnull, "PYTHONPATH": str(next(wheels.glob("pip-*.whl")))}
    _run(
        [sys.executable, "-m", "venv", "--without-pip", str(environment)],
        "Python's venv is missing: install the distribution's python3 as a whole",
    )
    _run(
        [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-index",
         "--no-deps", "--no-compile", "--no-cache-dir", "--disable-pip-version-check",
         "--root-user-action=ignore", "--require-hashes", "--only-binary", ":all:",
         "--find-links", str(wheels), "--requirement", str(target / "requirements.txt")],
        "pip could not install the product: see above",
        told,
    )  # fmt: skip
    shutil.rmtree(wheels)


def _run(command: list[str], otherwise: str, environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=sys.stderr, timeout=_PROGRAM_S,
        check=False,
    )  # fmt: skip
    if done.returncode:
        raise Refused(otherwise)


def _lead(link: Path, target: Path) -> str | None:
    """Let a link lead to a product; return which one it led to before, None where it did to this
    one already."""
    wanted = f"../product/{target.name}/environment/bin/sopslab"
    before = str(link.readlink()) if link.is_symlink() else ""
    if before == wanted:
        return None
    link.parent.mkdir(exist_ok=True)
    new = link.with_name(".sopslab.new")
    new.unlink(missing_ok=True)
    new.symlink_to(wanted)
    new.rename(link)
    return Path(before).parts[2] if before.startswith("../product/") else ""


def _completed(product: Path) -> str:
    """Return for which Python a product is complete, nothing where it is not."""
    try:
        return (product / "complete").read_text()
    except OSError:
        return ""


def _python() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def _write(path: Path, text: str) -> None:
    new = path.with_name(f".{path.name}.new")
    with new.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def _remove(folder: Path) -> None:
    """Remove a product: first what says that it is complete."""
    if folder.exists():
        (folder / "complete").unlink(missing_ok=True)
        shutil.rmtree(folder)


def _existing(path: Path) -> Path:
    return next(each for each in (path, *path.parents) if each.exists())


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused("another run is installing the product: wait for it") from None
        yield


def product_of(root: Path, file: str, signers: Path, unsigned: bool) -> None:
    """Install the product that a bundle has for this machine. Raises Refused."""
    archive = Archive(Parts(file))
    manifest = json.loads(verified_manifest(archive, signers, unsigned))
    arch = ARCHES.get(platform.machine(), platform.machine())
    sizes = {
        member["sha256"]: member["size"]
        for member in manifest["members"]
        if (member["what"], member["arch"]) == ("product", arch)
    }
    if not sizes:
        raise Refused(f"it has no product for {arch}")
    while found := archive.next():
        sha256 = Path(found[0]).stem
        if found[0].startswith("members/") and sha256 in sizes:
            install(root, sha256, sizes[sha256], archive)
            return
    raise Refused("it is cut off: the product is not in it")


def _path(root: str) -> Path:
    """Return the folder that is meant; no shell has seen its name."""
    return Path(root).expanduser().absolute()


def main(arguments: list[str]) -> int:
    """Do what the arguments say; return the exit code."""
    os.umask(0o022)
    try:
        match arguments:
            case ["state", root, sha256]:
                sys.stdout.write(f"{json.dumps(state(_path(root), sha256))}\n")
            case ["product", root, sha256, size]:
                install(_path(root), sha256, int(size), Patient(sys.stdin.buffer))
            case ["bundle", root, file, "--unsigned"]:
                product_of(_path(root), file, _path(root) / REMEMBERED, True)
            case ["bundle", root, file, "--signers", signers]:
                product_of(_path(root), file, Path(signers), False)
            case _:
                sys.stderr.write(f"{__doc__}")
                return 2
    except Refused as reason:
        sys.stderr.write(f"{SAYS}: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
