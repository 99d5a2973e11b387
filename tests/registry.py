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
    """Build the registry server from its pinned module, and return its path. A second build is
    quick, because `go` keeps what it has compiled."""
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
    """Return the configuration of a registry that keeps its content in a folder."""
    storage = {"filesystem": {"rootdirectory": folder}}
    return json.dumps({"version": 0.1, "storage": storage, "http": {"addr": address}})


@contextmanager
def serving(program: Path, folder: Path) -> Iterator[str]:
    """Run a registry during the block, and yield its address.

    + folder: where the registry keeps its content
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
    # The registry goes on writing its log, and would be stopped by a pipe that nobody reads.
    reader = threading.Thread(target=process.stderr.read)
    reader.start()
    try:
        yield address
    finally:
        process.terminate()
        process.wait(10)
        reader.join(10)
        process.stderr.close()
