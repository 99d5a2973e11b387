"""The runtime in front of runc, started as Docker starts it, with a stand-in for runc."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from sopslab.lab import oci_runtime
from sopslab.lab.oci_runtime import missing, relax
from sopslab.layout import PACKAGE
from tests.texts import write_program

PROGRAM = PACKAGE / "lab" / "oci_runtime.py"
RUNC = """#!/bin/sh
printf '%s\\n' "$@" >"$(dirname "$0")/told"
exit 7
"""
# A process as `runc` describes it, with fields that only runc knows.
PROCESS = {
    "terminal": False,
    "args": ["sh", "-c", "ä"],
    "capabilities": {"bounding": ["CAP_CHOWN", "CAP_SYS_RESOURCE"], "ambient": []},
    "oomScoreAdj": -999,
    "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 2**63, "soft": 2**63}],
}


@pytest.fixture
def runc(tmp_path: Path) -> Path:
    """A folder with a runc that records its arguments."""
    write_program(tmp_path / "runc", RUNC)
    return tmp_path


def start(folder: Path, *arguments: str) -> None:
    """Start the runtime in a folder; check that it becomes runc with the same arguments."""
    first = PROGRAM.read_text().splitlines()[0]
    done = subprocess.run(
        [*first.removeprefix("#!").split(), str(PROGRAM), *arguments],
        cwd=folder, env={"PATH": f"{folder}:{os.environ['PATH']}"}, check=False,
        capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (7, "")
    assert (folder / "told").read_text().splitlines() == list(arguments)


def expected() -> dict[str, Any]:
    """Return the process as the runtime has to change it on this machine."""
    lacking = missing(Path("/proc/self/status").read_text())
    kept = [name for name in ("CAP_CHOWN", "CAP_SYS_RESOURCE") if name not in lacking]
    return {**PROCESS, "capabilities": {"bounding": kept, "ambient": []}, "oomScoreAdj": 0}


@pytest.mark.parametrize(
    "arguments",
    [
        ("--root", "/run", "create", "--bundle", "the bundle", "id"),
        ("create", "--bundle=the bundle", "run"),
        ("run", "-b", "the bundle", "id"),
    ],
)
def test_a_container_is_made_with_what_the_machine_can_give(
    arguments: tuple[str, ...], runc: Path
) -> None:
    config = runc / "the bundle" / "config.json"
    config.parent.mkdir()
    config.write_text(json.dumps({"ociVersion": "1.0.2", "process": PROCESS, "hostname": "a"}))
    start(runc, *arguments)
    assert json.loads(config.read_text()) == {
        "ociVersion": "1.0.2", "process": expected(), "hostname": "a",
    }  # fmt: skip
    assert [path.name for path in config.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize("arguments", [("--process", "p.json"), ("-p", "p.json"), ("-p=x", "a")])
def test_a_process_in_a_container_is_started_likewise(
    arguments: tuple[str, ...], runc: Path
) -> None:
    process = runc / "p.json"
    process.write_text(json.dumps(PROCESS))
    process.chmod(0o600)
    start(runc, "exec", *arguments, "id", "create")
    given = "p.json" in arguments
    assert json.loads(process.read_text()) == (expected() if given else PROCESS)
    # The environment of a process may be nobody else's business.
    assert process.stat().st_mode & 0o777 == 0o600
    assert {path.name for path in runc.iterdir()} == {"p.json", "runc", "told"}


@pytest.mark.parametrize("arguments", [("--version",), ("delete", "--force", "id")])
def test_all_else_is_handed_on(arguments: tuple[str, ...], runc: Path) -> None:
    start(runc, *arguments)


def test_a_configuration_without_a_process_stays_as_it_is(runc: Path) -> None:
    (runc / "config.json").write_text("{}")
    start(runc, "create", "id")
    assert (runc / "config.json").read_text() == "{}"


def test_what_is_missing_is_read_bit_by_bit() -> None:
    assert missing("CapBnd:\t000001ffffffffff\n") == set()
    # As in many sandboxes, the 24th capability and the last three are missing.
    assert missing("Name:\ta\nCapBnd:\t0000003ffeffffff\n") == {
        "CAP_SYS_RESOURCE", "CAP_PERFMON", "CAP_BPF", "CAP_CHECKPOINT_RESTORE",
    }  # fmt: skip
    assert len(oci_runtime.NAMES.split()) == 41


def test_a_process_without_capabilities_gets_none() -> None:
    process: dict[str, Any] = {"args": ["a"], "capabilities": None, "oomScoreAdj": 5}
    relax(process, {"CAP_CHOWN"})
    assert process == {"args": ["a"], "capabilities": None, "oomScoreAdj": 5}


def test_what_a_machine_lacks_is_taken_from_every_set() -> None:
    process: dict[str, Any] = {
        "capabilities": {"bounding": ["CAP_A", "CAP_B"], "effective": ["CAP_A"], "ambient": None}
    }
    relax(process, {"CAP_A"})
    assert process == {"capabilities": {"bounding": ["CAP_B"], "effective": [], "ambient": []}}
