"""How recipes call Go: with caches of their own, and nothing that the machine's settings could
change but where modules come from."""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

from sopslab.lab.observe.store import GO_FOLDER
from sopslab.lab.store.bench import LONGEST_S, Bench
from sopslab.lab.tools.files import remove
from sopslab.model.recipes import GoSources


class Go:
    """The `go` command at a bench, with modules of ours."""

    def __init__(self, bench: Bench, sources: GoSources) -> None:
        self._bench = bench
        self._modules = sources.modules
        path = f"{os.environ.get('PATH', os.defpath)}:{GO_FOLDER}"
        if sources.toolchain is not None and (bench.store / sources.toolchain).is_file():
            path = f"{_unpacked(bench, sources.toolchain)}/go/bin:{path}"
        self._environment = {**os.environ, "PATH": path, **_settings(bench.cache, sources.arch)}

    def module(self, name: str) -> Path:
        """Return a writable copy of one of our modules."""
        folder = self._bench.folder / name
        for path, text in self._modules[name].items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder

    def folder_of(self, package: str, module: Path) -> Path:
        """Return the folder of the module that has this package, fetched and verified by the go.sum
        of a module of ours."""
        proxy = re.sub(r"//[^/@]*@", "//…@", self.run(module, "env", "GOPROXY"))
        found = self.run(
            module, "list", "-find", "-f", "{{.Module.Dir}}", package,
            otherwise=f"the Go module of {package} could not be had: does GOPROXY ({proxy})"
            " answer?",
        )  # fmt: skip
        return Path(found)

    def run(self, module: Path, *arguments: str, otherwise: str = "") -> str:
        """Return what go prints, at work in a module. Raises LabError with `otherwise`, if that is
        given, where it fails."""
        return self._bench.run(
            "go", *arguments, environment=self._environment, folder=module, patience=LONGEST_S,
            otherwise=otherwise,
        )  # fmt: skip


def _unpacked(bench: Bench, wheel: str) -> Path:
    """Return the folder of a toolchain that the store has, unpacked once."""
    folder = bench.cache / Path(wheel).parent
    if not folder.is_dir():
        new = folder.with_name(f"{folder.name}.new")
        remove(new)
        with zipfile.ZipFile(bench.store / wheel) as packed:
            packed.extractall(new)
        # A wheel has no file modes.
        for program in (*new.glob("go/bin/*"), *new.glob("go/pkg/tool/*/*")):
            program.chmod(0o755)
        new.rename(folder)
    return folder


def _settings(cache: Path, arch: str) -> Mapping[str, str]:
    return {
        "GOCACHE": f"{cache}/go-build",
        "GOMODCACHE": f"{cache}/go-mod",
        "GOPATH": f"{cache}/go-path",
        # A module cache that its owner may write is one that can be removed without further ado.
        "GOFLAGS": "-mod=readonly -modcacherw",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOOS": "linux",
        "GOARCH": arch,
        # No C compiler is asked for, and static programs need nothing else in their images.
        "CGO_ENABLED": "0",
        # The compiler's garbage collector runs less often: memory is there, time is not.
        "GOGC": "400",
    }
