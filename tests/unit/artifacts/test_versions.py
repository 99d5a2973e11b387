"""The versions of the catalog, read without the rest of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import SOURCES, load_catalog
from sopslab.artifacts.versions import read_versions
from sopslab.errors import InputError
from sopslab.layout import PROJECT

CATALOG = PROJECT / "artifacts" / "catalog.yaml"


def test_they_are_those_of_the_whole_catalog() -> None:
    catalog, pinned = load_catalog(CATALOG), read_versions(CATALOG)
    assert pinned.sources == tuple(catalog.node_image)
    names = [(name, source) for name in catalog.versions for source in SOURCES]
    assert names
    assert [pinned.version(*one) for one in names] == [catalog.version(*one) for one in names]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "a", "versions: {a: 1.2.3}", "node_image: {}", "node_image: {}\nversions: {}"],
)
def test_a_file_without_versions_is_refused_by_its_name(tmp_path: Path, text: str) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(text)
    with pytest.raises(InputError, match=f"^{file}: "):
        read_versions(file)


@pytest.mark.parametrize("versions", ["{}", "{go: 1.26}", "{go: {modules: 1.26.0}}", "[]"])
def test_a_version_that_is_none_is_refused_by_its_name(tmp_path: Path, versions: str) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(f"node_image: {{upstream: {{}}}}\nversions: {versions}\n")
    with pytest.raises(InputError, match=f"^{file}: has no version of go: "):
        read_versions(file).version("go", "upstream")


def test_a_catalog_that_is_not_there_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=f"^{tmp_path}/none.yaml: cannot be read: "):
        read_versions(tmp_path / "none.yaml")


def test_who_looks_at_the_tools_does_not_wait_for_the_models_of_the_catalog() -> None:
    catalog = "sopslab.artifacts.catalog"
    program = f"import sys, sopslab.lab.observe.versions; print({catalog!r} in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "False\n"
