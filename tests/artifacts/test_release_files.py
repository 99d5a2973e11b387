"""Release files from a mirror on loopback: only files with the right sum get into the store."""

from __future__ import annotations

import io
import json
import signal
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from tests.artifacts.conftest import Lab, Mirror


def program(says: str) -> bytes:
    return f"#!/bin/sh\necho {says}\n".encode()


def release(version: str, sha256: str, **more: Any) -> dict[str, Any]:
    return {
        "debian": "bookworm",
        "versions": {"sops": version},
        "deliver": ["sops"],
        "releases": {
            "sops": {
                "base": "releases",
                "file": "getsops/v{sops}/sops",
                "members": {"sops": None},
                "sha256": {"amd64": sha256, "arm64": sha256},
                **more,
            }
        },
    }


def archive(files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def leavings(lab: Lab) -> list[Path]:
    return [path for path in (lab.root / "cache").iterdir() if path.suffix != ".lock"]


def test_a_good_file_is_delivered_and_a_second_run_changes_nothing(
    lab: Lab, mirror: Mirror
) -> None:
    lab.catalog = release("1.0", mirror.serve("getsops/v1.0/sops", program("one")))
    first = lab.run()
    assert (first.code, first.changed) == (0, ["Fetch sops 1.0", "Link the tools"])
    assert lab.tool("sops") == "one"
    manifest = json.loads((lab.store / "sops-1.0" / "manifest.json").read_text())
    assert manifest["source"] == "upstream"
    assert manifest["files"].keys() == {"bin/sops"}
    mirror.requests.clear()
    second = lab.run()
    assert (second.code, second.changed, mirror.requests) == (0, [], [])
    assert leavings(lab) == []


def test_a_tampered_file_is_refused_and_the_old_tool_stays(lab: Lab, mirror: Mirror) -> None:
    lab.catalog = release("1.0", mirror.serve("getsops/v1.0/sops", program("one")))
    assert lab.run().code == 0
    right = mirror.serve("getsops/v2.0/sops", program("two"))
    wrong = mirror.serve("getsops/v2.0/sops", program("evil"))
    lab.catalog = release("2.0", right)
    result = lab.run()
    assert result.code == 1
    assert f"sha256 {right} was expected, {wrong} was found" in result.said
    assert "getsops/v2.0/sops is not what is pinned" in result.said
    assert lab.tool("sops") == "one"
    assert not (lab.store / "sops-2.0").exists()
    assert leavings(lab) == []
    mirror.serve("getsops/v2.0/sops", program("two"))
    assert lab.run().code == 0
    assert lab.tool("sops") == "two"


def test_a_sum_that_is_not_pinned_is_recorded_and_asked_for_from_then_on(
    lab: Lab, mirror: Mirror
) -> None:
    right = mirror.serve("getsops/v1.0/sops", program("one"))
    lab.catalog = release("1.0", "first-use")
    assert lab.run().code == 0
    lock = lab.root / "lock.json"
    assert json.loads(lock.read_text()) == {"getsops/v1.0/sops": right}
    wrong = mirror.serve("getsops/v1.0/sops", program("evil"))
    (lab.store / "sops-1.0" / "bin" / "sops").unlink()
    result = lab.run()
    assert result.code == 1
    assert f"sha256 {right} was expected, {wrong} was found" in result.said
    assert json.loads(lock.read_text()) == {"getsops/v1.0/sops": right}


def test_a_tool_that_was_changed_in_the_store_is_replaced_and_named(
    lab: Lab, mirror: Mirror
) -> None:
    lab.catalog = release("1.0", mirror.serve("getsops/v1.0/sops", program("one")))
    assert lab.run().code == 0
    tool = lab.store / "sops-1.0" / "bin" / "sops"
    tool.write_bytes(program("old"))
    result = lab.run()
    assert (result.code, result.changed) == (0, ["Fetch sops 1.0"])
    assert lab.tool("sops") == "one"
    # A file with the same bytes and another time is the same tool.
    tool.touch()
    assert lab.run().changed == []
    tool.chmod(0o644)
    assert lab.run().changed == ["Fetch sops 1.0"]
    assert lab.tool("sops") == "one"


def test_a_link_to_another_tool_is_set_right(lab: Lab, mirror: Mirror) -> None:
    lab.catalog = release("1.0", mirror.serve("getsops/v1.0/sops", program("one")))
    assert lab.run().code == 0
    link = lab.root / "bin" / "sops"
    link.unlink()
    link.symlink_to("/bin/true")
    assert lab.run().changed == ["Link the tools"]
    assert lab.tool("sops") == "one"


def test_a_program_is_taken_from_an_archive_by_its_exact_name(lab: Lab, mirror: Mirror) -> None:
    content = archive({"other/sops": program("other"), "pack/sops": program("packed")})
    sha256 = mirror.serve("getsops/v1.0/sops", content)
    lab.catalog = release("1.0", sha256, members={"sops": "pack/sops"})
    assert lab.run().code == 0
    assert lab.tool("sops") == "packed"
    lab.catalog = release("1.0", sha256, members={"sops": "sops"})
    result = lab.run()
    assert result.code == 1
    assert "getsops/v1.0/sops has no member sops" in result.said
    assert lab.tool("sops") == "packed"


@pytest.mark.parametrize("how", ["refused", "missing"])
def test_a_mirror_without_the_file_is_named_within_seconds(
    lab: Lab, mirror: Mirror, how: str
) -> None:
    lab.catalog = release("1.0", "0" * 64)
    base = mirror.url if how == "missing" else "http://127.0.0.1:9"
    began = time.monotonic()
    result = lab.run(mirrors={"releases": base, "kubernetes": base, "images": None})
    assert time.monotonic() - began < 60
    assert result.code == 1
    assert f"getsops/v1.0/sops could not be fetched from {base}/getsops/v1.0/sops" in result.said
    assert list(lab.store.iterdir()) == []


def test_a_run_that_is_killed_leaves_nothing_half_and_the_next_one_finishes(
    lab: Lab, mirror: Mirror
) -> None:
    lab.catalog = release("1.0", mirror.serve("getsops/v1.0/sops", program("one")))
    mirror.stalls.set()
    process = lab.start()
    assert mirror.asked.wait(20)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert list(lab.store.iterdir()) == []
    # A process that the killed run has started is still running; the next run waits for its end.
    mirror.stalls.clear()
    mirror.released.set()
    assert lab.run().code == 0
    assert lab.tool("sops") == "one"


def test_release_pages_that_answer_are_chosen_and_said(lab: Lab, mirror: Mirror) -> None:
    lab.catalog = release("1.0", mirror.serve("getsops/v1.0/sops", program("one")))
    result = lab.run(artifact_source="auto")
    assert result.changed == ["Choose the source", "Fetch sops 1.0", "Link the tools"]
    assert "release pages answer, so tools and images come from there" in result.said
    mirror.requests.clear()
    assert lab.run(artifact_source="auto").changed == []
    assert mirror.requests == []
