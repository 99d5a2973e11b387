"""The `distribution` registry, as a process that listens on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sopslab.layout import PROJECT


def built() -> Path:
    """Return the registry server, built from its pinned module; `go` keeps what it compiled."""
    program = PROJECT / "build" / "tests" / "registry"
    command = ["go", "build", "-mod=readonly", "-buildvcs=false", "-trimpath"]
    command += ["-gcflags=all=-dwarf=false", "-o", str(program)]
    subprocess.run(
        [*command, "github.com/distribution/distribution/v3/cmd/registry"],
        cwd=PROJECT / "artifacts" / "modules" / "registry",
        env={
            **os.environ,
            "CGO_ENABLED": "0",
            "GOGC": "400",
            "GOFLAGS": "",
            "GOTOOLCHAIN": "local",
        },
        check=True,
    )
    return program


def configuration(folder: str, address: str) -> str:
    """Return how a registry is configured that keeps what it has in a folder."""
    storage = {"filesystem": {"rootdirectory": folder}}
    return json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}})


@contextmanager
def serving(program: Path, folder: Path) -> Iterator[str]:
    """Yield the address of a registry that runs while the block does.

    + folder: where it keeps what it has
    """
    config = folder.with_suffix(".yaml")
    config.write_text(configuration(str(folder), "127.0.0.1:0"))
    process = subprocess.Popen(
        [str(program), "serve", str(config)], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr
    address = ""
    for line in process.stderr:
        match = re.search(r"listening on (127\.0\.0\.1:\d+)", line)
        if match:
            address = match[1]
            break
    assert address, "the registry ended before it listened"
    # Its log goes on; a pipe that nobody reads would stop it.
    reader = threading.Thread(target=process.stderr.read)
    reader.start()
    yield address
    process.terminate()
    process.wait(10)
    reader.join(10)
    process.stderr.close()
