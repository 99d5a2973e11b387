"""The wheel of the product that runs: put together from its own files, wherever they lie, so that
neither a checkout nor what builds packages is needed on the machine of an instructor."""

from __future__ import annotations

import base64
import hashlib
import io
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

from sopslab.layout import PACKAGE, PROJECT

_NAME = "sops-lab"
# Of the metadata that pip has of it: the rest is about how it was installed here.
_METADATA = ("METADATA", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt")
# The first day that a zip archive can name.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


def file_name() -> str:
    """Return what the wheel is called, as pip has it."""
    return f"{_stem()}-py3-none-any.whl"


def build() -> bytes:
    """Return the wheel: the same bytes for the same files."""
    buffer = io.BytesIO()
    record = []
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:

        def add(name: str, content: bytes, executable: bool) -> None:
            info = zipfile.ZipInfo(name, _NO_TIME)
            # What is rendered from a template can be run if that can.
            info.external_attr = (0o100755 if executable else 0o100644) << 16
            packed.writestr(info, content, zipfile.ZIP_DEFLATED)

        for name, content, executable in sorted(_content()):
            add(name, content, executable)
            sum_of = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=")
            record.append(f"{name},sha256={sum_of.decode()},{len(content)}\n")
        listing = f"{_stem()}.dist-info/RECORD"
        add(listing, "".join([*record, f"{listing},,\n"]).encode(), False)
    return buffer.getvalue()


def _stem() -> str:
    return f"{_NAME.replace('-', '_')}-{distribution(_NAME).version}"


def _content() -> Iterator[tuple[str, bytes, bool]]:
    """Yield each file but the listing: its name, what is in it, and whether it can be run."""
    for file in [*PACKAGE.rglob("*.py"), PACKAGE / "py.typed"]:
        if file.is_file() and not file.is_relative_to(PACKAGE / "project"):
            yield f"sopslab/{file.relative_to(PACKAGE)}", file.read_bytes(), _can_be_run(file)
    for file in _project():
        name = f"sopslab/project/{file.relative_to(PROJECT)}"
        yield name, file.read_bytes(), _can_be_run(file)
    for name in _METADATA:
        text = distribution(_NAME).read_text(name)
        if text is not None:
            yield f"{_stem()}.dist-info/{name}", text.encode(), False


def _can_be_run(file: Path) -> bool:
    return bool(file.stat().st_mode & 0o111)


def _project() -> Iterator[Path]:
    """Yield the files of the project that belong into the package."""
    if PROJECT.is_relative_to(PACKAGE):
        found = PROJECT.rglob("*")
    else:
        told = tomllib.loads((PROJECT / "pyproject.toml").read_text())
        patterns = told["tool"]["setuptools"]["package-data"]["sopslab.project"]
        found = (file for pattern in [*patterns, "deploy.py"] for file in _matching(pattern))
    # More than one pattern may name a file.
    for file in set(found):
        if file.is_file() and "__pycache__" not in file.parts:
            yield file


def _matching(pattern: str) -> Iterator[Path]:
    """Yield what a pattern of setuptools names: there `**` ends in files, too."""
    yield from PROJECT.glob(f"{pattern}/*" if pattern.endswith("**") else pattern)
