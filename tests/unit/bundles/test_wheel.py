"""The running product makes the same wheel of itself as a build of the checkout."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from sopslab.lab.bundles import wheel
from tests.package import build, build_from, copied


@pytest.fixture(autouse=True)
def small_product() -> None:
    """Keep the real product, which conftest.py replaces by a small one."""


def programs(file: Path | io.BytesIO) -> set[str]:
    """Return the executable files of a wheel."""
    with zipfile.ZipFile(file) as packed:
        return {info.filename for info in packed.infolist() if info.external_attr >> 16 & 0o111}


def contents(file: Path | io.BytesIO) -> dict[str, bytes]:
    with zipfile.ZipFile(file) as packed:
        return {info.filename: packed.read(info) for info in packed.infolist()}


def test_it_has_what_the_built_one_has(tmp_path: Path) -> None:
    own, file = io.BytesIO(wheel.build()), build(tmp_path)
    ours, built = contents(own), contents(file)
    assert ours.keys() == built.keys()
    assert programs(own) == programs(file) != set()
    # The metadata of this checkout's installation may be older than its dependencies.
    differing = {name for name in ours if ours[name] != built[name]}
    assert {Path(name).name for name in differing} <= {"METADATA", "RECORD", "WHEEL"}


def test_what_an_earlier_build_has_left_in_the_checkout_is_not_in_it(tmp_path: Path) -> None:
    source = copied(tmp_path)
    templates = "sopslab/project/templates/learner"
    gone = source / "build" / "lib" / templates / "gone.md"
    gone.parent.mkdir(parents=True)
    gone.write_text("of an earlier version\n")
    # As pipx and `uv tool install` do it: without a source distribution in between.
    packed = contents(build_from(source, tmp_path, "--wheel"))
    assert any(name.startswith(f"{templates}/") for name in packed)
    assert f"{templates}/gone.md" not in packed


def test_it_is_the_same_each_time_and_the_installed_one_makes_it_again(tmp_path: Path) -> None:
    first = wheel.build()
    assert wheel.build() == first
    (tmp_path / wheel.file_name()).write_bytes(first)
    with zipfile.ZipFile(tmp_path / wheel.file_name()) as packed:
        packed.extractall(tmp_path / "installed")
    for name in programs(tmp_path / wheel.file_name()):
        (tmp_path / "installed" / name).chmod(0o755)
    again = subprocess.run(
        [sys.executable, "-S", "-c", "import sys; from sopslab.lab.bundles import wheel;"
         " sys.stdout.buffer.write(wheel.build())"],
        env={"PYTHONPATH": str(tmp_path / "installed"), "PYTHONDONTWRITEBYTECODE": "1"},
        cwd="/", capture_output=True, check=True,
    ).stdout  # fmt: skip
    assert again == first
