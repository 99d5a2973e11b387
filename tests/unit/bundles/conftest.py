"""What tests of bundles share: a store with a few entries, a small product, and keys."""

from __future__ import annotations

import ensurepip
import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sopslab.config.places import Lab
from sopslab.config.settings import Settings
from sopslab.lab.bundles import product, wheel
from sopslab.lab.bundles.writing import Contents, Written, create
from sopslab.model.store import Entry
from tests import sshd
from tests.unit.artifacts.conftest import entry, publish

FILES: dict[str, dict[str, bytes]] = {
    "tool": {"bin/tool": b"program" * 1000},
    "image": {"image.tar": bytes(range(256)) * 800},
    "files": {"files/a.yaml": b"a: 1\n", "files/b/c.yaml": b"c: 2\n"},
}
ENTRIES: tuple[Entry, ...] = tuple(entry(name, *files) for name, files in FILES.items())
PIP = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"))

Create = Callable[..., Written]


@pytest.fixture
def full(lab: Callable[..., Settings]) -> Lab:
    """A lab whose store is full."""
    place = lab().for_machine
    for name, files in FILES.items():
        publish(place, files, name)
    return place


@pytest.fixture
def seat(lab: Callable[..., Settings]) -> Lab:
    """A lab on another machine, which has an empty root."""
    return lab(root=f"{lab().root}-seat").for_machine


def small_wheel(says: str = "hello", more: Mapping[str, str] | None = None) -> bytes:
    """Return the wheel of a product whose command prints a text, with `more` files in it."""
    info = "sops_lab-0.1.0.dist-info"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, text in {
            "sopslab_small.py": f"def main():\n    print({says!r})\n",
            f"{info}/METADATA": "Metadata-Version: 2.1\nName: sops-lab\nVersion: 0.1.0\n",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/entry_points.txt": "[console_scripts]\nsopslab = sopslab_small:main\n",
            f"{info}/RECORD": "",
            **(more or {}),
        }.items():
            packed.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def have_small_product(
    project: Path, monkeypatch: pytest.MonkeyPatch, more: Mapping[str, str] | None = None
) -> Callable[[str], None]:
    """Replace the product by one that needs only pip, which it takes from Python itself; return a
    function that changes what its command prints."""
    project.mkdir()
    version, sum_of = PIP.name.split("-")[1], hashlib.sha256(PIP.read_bytes()).hexdigest()
    (project / "requirements.txt").write_text(f"pip=={version} \\\n    --hash=sha256:{sum_of}\n")

    def download(target: Path, *_: object) -> None:
        target.mkdir(exist_ok=True)
        (target / PIP.name).write_bytes(PIP.read_bytes())

    def say(text: str) -> None:
        monkeypatch.setattr(wheel, "build", lambda: small_wheel(text, more))

    monkeypatch.setattr(product, "PROJECT", project)
    monkeypatch.setattr(product, "_ask_pip", download)
    say("hello")
    return say


@pytest.fixture(autouse=True)
def small_product(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Replace the product by a small one; return a function that changes what its command
    prints."""
    return have_small_product(tmp_path / "project", monkeypatch)


@pytest.fixture
def made(full: Lab, tmp_path: Path) -> Create:
    """Return a function that makes a bundle of the full store."""

    def make(name: str = "lab.bundle", place: Lab = full, **options: object) -> Written:
        pythons = ("3.11", "3.12", "3.13", "3.14")
        contents = Contents("0.1.0", "catalog", "modules", "amd64", ENTRIES, pythons)
        return create(place, contents, tmp_path / name, lambda *_: None, **options)  # type: ignore[arg-type]

    return make


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """An OpenSSH key; `signers` returns the file that allows it to sign."""
    return sshd.make_key(tmp_path / "keys" / "own")


def signers(key: Path) -> Path:
    """Write the file of allowed signers, which holds one key; return its path."""
    allowed = key.with_name(f"{key.name}.signers")
    allowed.write_text(f"ada@example.org {sshd.public(key)}\n")
    return allowed
