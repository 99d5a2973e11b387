"""A mirror and a registry on loopback, and runs of the step `Artifacts` against them."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import json
import re
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from typing_extensions import override

from tests.registry import built, serving

ROOT = Path(__file__).resolve().parents[2]

_DEPLOY = """
from pyinfra import host
from sopslab.config.settings import Settings, load_settings
from tasks.artifacts import provide_artifacts

provide_artifacts(load_settings({name: host.data.get(name) for name in Settings.model_fields}))
"""


@dataclass
class Mirror:
    """Release pages on loopback: a folder of files, and the paths that clients asked for."""

    folder: Path
    url: str
    requests: list[str] = field(default_factory=list)
    # While `stalls` is set, answers stop in the middle until `released` is set.
    stalls: threading.Event = field(default_factory=threading.Event)
    asked: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, content: bytes) -> str:
        """Put a file at a path of the mirror; return its SHA-256."""
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return hashlib.sha256(content).hexdigest()


class _Handler(http.server.SimpleHTTPRequestHandler):
    mirror: Mirror

    @override
    def do_GET(self) -> None:
        self.mirror.requests.append(self.path)
        if not self.mirror.stalls.is_set():
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        self.wfile.flush()
        self.mirror.asked.set()
        self.mirror.released.wait(20)
        self.close_connection = True

    @override
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    folder = tmp_path / "mirror"
    folder.mkdir()
    handler = type("Handler", (_Handler,), {})
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(handler, directory=str(folder))
    )
    handler.mirror = Mirror(folder, f"http://127.0.0.1:{server.server_port}")  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield handler.mirror  # type: ignore[attr-defined]
    handler.mirror.released.set()  # type: ignore[attr-defined]
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True)
class Result:
    """The exit code, the operations and the messages of a run."""

    code: int
    changed: list[str]
    said: str


@dataclass
class Lab:
    """A root of its own, a catalog, and the step `Artifacts`, run by the `pyinfra` command."""

    folder: Path
    catalog: dict[str, Any]
    data: dict[str, Any]

    @property
    def root(self) -> Path:
        return self.folder / "lab root"

    @property
    def store(self) -> Path:
        return self.root / "store"

    def tool(self, name: str) -> str:
        """Run a delivered tool; return its output."""
        command = [str(self.root / "bin" / name)]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def start(self, **data: Any) -> subprocess.Popen[str]:
        modules = self.folder / "modules"
        if not modules.is_symlink():
            modules.symlink_to(ROOT / "artifacts" / "modules")
        catalog = self.folder / "catalog.yaml"
        catalog.write_text(yaml.safe_dump(self.catalog, sort_keys=False))
        deploy = self.folder / "deploy.py"
        deploy.write_text(_DEPLOY)
        values = {**self.data, "root": str(self.root), "catalog": str(catalog), **data}
        inventory = self.folder / "inventory.py"
        inventory.write_text(f"hosts = [('@local', {values!r})]\n")
        command = [sys.executable, "-m", "pyinfra", "--json", "-y", str(inventory), str(deploy)]
        return subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, **data: Any) -> Result:
        process = self.start(**data)
        output, errors = process.communicate(timeout=120)
        operations = json.loads(output)["results"]["operations"] if output.strip() else []
        changed = [operation["name"] for operation in operations if operation["success"]]
        return Result(
            process.returncode,
            [name.removeprefix("Artifacts | ") for name in changed],
            # pyinfra colours its messages.
            re.sub(r"\x1b\[[0-9;]*m", "", errors),
        )


@pytest.fixture
def lab(tmp_path: Path, mirror: Mirror) -> Lab:
    mirrors = {"releases": mirror.url, "kubernetes": mirror.url, "images": None}
    return Lab(
        tmp_path,
        {"debian": "bookworm", "versions": {}},
        {"artifact_source": "upstream", "mirrors": mirrors},
    )


@dataclass(frozen=True)
class Registry:
    """The `distribution` registry on loopback."""

    address: str
    folder: Path

    def push(self, name: str, files: Mapping[str, str]) -> str:
        """Push an image of these files; return its digest. The image does not stay in Docker."""
        reference = f"{self.address}/{name}"
        archive = self.folder.parent / "image.tar"
        _tar(archive, files)
        docker("import", str(archive), reference)
        return self.push_known(reference)

    def push_known(self, reference: str) -> str:
        """Push an image that Docker has; return its digest. The image does not stay in Docker."""
        said = docker("push", reference)
        docker("rmi", reference)
        match = re.search(r"digest: (sha256:[0-9a-f]{64})", said)
        assert match, said
        return match[1]


@pytest.fixture(scope="session")
def registry_program() -> Path:
    return built()


@pytest.fixture
def registry(tmp_path: Path, registry_program: Path) -> Iterator[Registry]:
    with serving(registry_program, tmp_path / "registry") as address:
        yield Registry(address, tmp_path / "registry")


def docker(*arguments: str) -> str:
    """Run docker; return its output."""
    command = ["docker", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _tar(archive: Path, files: Mapping[str, str]) -> None:
    with tarfile.open(archive, "w") as tar:
        for name, text in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            tar.addfile(member, io.BytesIO(text.encode()))
