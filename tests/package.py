"""The package as it is built and installed, for the tests of the package."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

from sopslab.layout import PROJECT


def tracked(*paths: str) -> list[str]:
    """Return the files below these paths that Git tracks, or that are new and not ignored."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *paths],
        cwd=PROJECT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [name for name in listing.split("\0") if name and (PROJECT / name).is_file()]


def copied(folder: Path) -> Path:
    """Copy the sources into a folder below this one, because a build writes into the folder of its
    sources; return it."""
    for name in tracked():
        target = folder / "source" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(PROJECT / name, target)
    return folder / "source"


def build(folder: Path) -> Path:
    """Build the source distribution into a folder, and the wheel from it; return the wheel."""
    return build_from(copied(folder), folder)


def build_from(source: Path, folder: Path, *options: str) -> Path:
    """Build these sources into a folder, and return the wheel.

    + options: of `uv build`
    """
    uv = Path(sys.executable).parent / "uv"
    subprocess.run(
        [uv, "build", "--quiet", "--no-build-isolation", "--python", sys.executable,
         "--out-dir", folder, *options, source],
        check=True, timeout=600,
    )  # fmt: skip
    (wheel,) = folder.glob("*.whl")
    return wheel


def constraints() -> str:
    """Return the pins of requirements.txt as constraints of pip. They have no hashes, because there
    is none for the wheel that was built."""
    text = (PROJECT / "requirements.txt").read_text()
    return "".join(f"{pin}\n" for pin in re.findall(r"^[\w.-]+==[^ ;\\]+", text, re.M))
