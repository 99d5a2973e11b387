"""Small repositories to validate, the pinned schemas, and the real tools.

SOPSLAB_TOOLS names a directory with kubectl, kubeconform, flux, sops and age-keygen; without it
they come from PATH. The schemas are made from the store of the local lab.
"""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.config.inputs import local_settings
from sopslab.policy.findings import Report
from sopslab.validation import schema_store
from sopslab.validation.engine import validate
from sopslab.validation.tree import read_tree

Write = Callable[[Mapping[str, str]], Path]
Judge = Callable[[Mapping[str, str]], Report]


@pytest.fixture(autouse=True)
def tools(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the tools of the lab in front of the PATH."""
    folder = os.environ.get("SOPSLAB_TOOLS")
    if folder:
        monkeypatch.setenv("PATH", str(folder), prepend=":")


@pytest.fixture(scope="session")
def store() -> tuple[Path, Path]:
    """The folders of the OpenAPI documents and of the CustomResourceDefinitions."""
    settings = local_settings()
    catalog = load_catalog(settings.catalog)
    openapi, flux = (
        Path(settings.store) / f"{name}-{catalog.version(name, 'modules')}"
        for name in (schema_store.OPENAPI, schema_store.FLUX)
    )
    return openapi / "files", flux / "crds"


@pytest.fixture(scope="session")
def schema_dir(store: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the schemas, made once."""
    target = tmp_path_factory.mktemp("schemas") / "pinned"
    schema_store.make(*store, target)
    return target


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Return a function that writes files into a folder, and returns the folder."""

    def write(files: Mapping[str, str]) -> Path:
        root = tmp_path / "tree"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"))
        return root

    return write


@pytest.fixture
def judge(write: Write, schema_dir: Path) -> Judge:
    """Return a function that writes files and validates them."""
    return lambda files: validate(read_tree(write(files)), lambda: schema_dir)
