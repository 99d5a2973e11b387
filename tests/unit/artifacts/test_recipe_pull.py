"""The recipe that pulls images, run with a docker that stands in."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from sopslab.artifacts.catalog import load_catalog
from sopslab.layout import PROJECT

DOCKER = """#!/bin/sh
echo "$*" >>"$0.calls"
case "$*" in
"image inspect"*) exit 1 ;;
"save --help") echo "OPTIONS" ;;
save*) for last; do [ "$previous" != --output ] || echo image >"$last"; previous=$last; done ;;
esac
"""


@pytest.mark.parametrize("option", ["", "--platform string"])
def test_of_an_image_one_platform_is_kept_where_docker_could_keep_the_names_of_all(
    option: str, tmp_path: Path
) -> None:
    catalog = load_catalog(PROJECT / "artifacts" / "catalog.yaml")
    thing = next(thing for thing in catalog.things("upstream") if thing.kind == "pull")
    work = catalog.work(thing, "upstream", "arm64")
    order = {**json.loads(work.order()), "reference": "registry.example/a@sha256:0"}
    docker = tmp_path / "docker"
    docker.write_text(DOCKER.replace("OPTIONS", option))
    docker.chmod(0o755)
    done = subprocess.run(
        ["bash", "-s", "--", str(tmp_path), json.dumps(order)],
        input=catalog.script(work.script), text=True, capture_output=True, check=False,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "store" / work.entries[0].key / "image.tar").read_text() == "image\n"
    calls = Path(f"{docker}.calls").read_text().splitlines()
    (saved,) = [call for call in calls if call.startswith("save ") and "--help" not in call]
    assert ("--platform linux/arm64" in saved) is bool(option)
